"""Makes an endpoint of a service misbehave as its fault switches say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from orders.sandbox.effects import Service
from orders.sandbox.problems import ProblemError
from orders.sandbox.state import sandbox_of

Endpoint = Callable[[Request], Awaitable[Response]]


def misbehaving(service: Service, endpoint: Endpoint) -> Endpoint:
    """``endpoint``, subject to the fault switches of ``service``.

    Before acting: refuse when down, wait, fail. Then act. After acting: perhaps lose the answer, whatever it
    was.
    """

    async def faulty(request: Request) -> Response:
        switches = sandbox_of(request).faults
        faults = switches[service]
        if faults.down:
            raise ProblemError(503, "service_down", f"The {service} service is down: fault switch `down`.")
        luck = switches.roll(service)
        if faults.latency_ms:
            await asyncio.sleep(faults.latency_ms / 1000)
        if luck.fails:
            raise ProblemError(
                503, "injected_error", f"The {service} service failed: fault switch `error_rate`."
            )
        if not luck.loses_answer:
            return await endpoint(request)
        with suppress(ProblemError):  # a refusal is an answer too, and is lost like any other
            await endpoint(request)
        return LostAnswer(faults.lost_response_hold_ms / 1000)

    return faulty


class LostAnswer(Response):
    """An answer that never arrives: silence for ``hold_seconds``, then the connection breaks.

    An ASGI application cannot close its connection. What it can do is announce a body and end before the body
    does: the server must then drop the connection, and the client sees it break. The status line that goes
    ahead is a 502, so that even a careless client cannot take it for success.
    """

    def __init__(self, hold_seconds: float) -> None:
        super().__init__(status_code=502)
        self._hold_seconds = hold_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Hold, or stop at once when the client gives up; then break off."""
        await _disconnected(receive, self._hold_seconds)
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive, timeout_seconds: float) -> None:
    try:
        async with asyncio.timeout(timeout_seconds):
            while (await receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return
