"""Around every request: the sandbox's start and stop, and the token at the door."""

from __future__ import annotations

import asyncio
import hmac
import logging
import multiprocessing
import os
import signal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from orders.sandbox.problems import ProblemError, problem_response
from orders.sandbox.settings import SandboxSettings, StartupError
from orders.sandbox.state import Sandbox

logger = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/healthz"})


class Lifecycle:
    """Starts the sandbox with the server, stops it with the server.

    What keeps it from starting is told in one line: the server prints it and exits with a failure.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the server's lifespan; pass everything else on."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        try:
            sandbox = Sandbox.start(SandboxSettings.from_env())
        except StartupError as error:
            await send({"type": "lifespan.startup.failed", "message": f"The sandbox cannot start. {error}"})
            return
        scope["app"].state.sandbox = sandbox
        _announce(sandbox)
        _stop_when_orphaned()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        sandbox.ledger.close()
        await send({"type": "lifespan.shutdown.complete"})


class RequireToken:
    """Lets a request in with ``Authorization: Bearer <token>`` only, except to OPEN_PATHS."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not _authorised(scope):
            challenge = {"WWW-Authenticate": "Bearer"}
            detail = "Send the sandbox's token: Authorization: Bearer <SANDBOX_TOKEN>."
            refusal = problem_response(ProblemError(401, "unauthorized", detail, headers=challenge))
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _authorised(scope: Scope) -> bool:
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    expected: str = scope["app"].state.sandbox.token
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), expected.encode())


def _announce(sandbox: Sandbox) -> None:
    if active := sandbox.faults.active():
        logger.warning(
            "fault switches are on for %s since an earlier run; DELETE /faults resets", ", ".join(active)
        )


def _stop_when_orphaned() -> None:
    """Stop this worker when the server process above it is killed.

    Granian runs the app in a child. A child that outlives a SIGKILLed parent would keep the ledger locked and
    go on answering beside its successor. Not guaranteed under a server that does not use multiprocessing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(parent.sentinel, lambda: os.kill(os.getpid(), signal.SIGKILL))
