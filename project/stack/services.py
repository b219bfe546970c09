"""The processes of Todoke: what runs, with which command, and when it counts as ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from project.stack.readiness import Answers, Finishes, Prints
from project.stack.service import Service
from project.stack.state import StateDir

PYTHON = sys.executable
WEB_PROCESSES = (
    2  # each uses one core at most: one alone would take 90 orders a second, and stumble before that
)
LOOPBACK = "127.0.0.1"
# The stack itself says, once and in one line, that root runs it; each worker would say it again in eight.
WARNED = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}
ALONE = ("--without-gossip", "--without-mingle", "--loglevel=INFO")  # workers need not know of each other


@dataclass(frozen=True)
class Ports:
    """The loopback TCP ports of the processes that serve HTTP."""

    web: int
    sandbox: int
    flower: int

    @property
    def urls(self) -> dict[str, str]:
        """The addresses for people and programs, by the keys of `RunInfo.urls`."""
        shop = f"http://{LOOPBACK}:{self.web}/"
        return {
            "shop": shop,
            "admin": f"{shop}admin/",
            "api_docs": f"{shop}api/docs",
            "sandbox": f"http://{LOOPBACK}:{self.sandbox}",
            "flower": f"http://{LOOPBACK}:{self.flower}/",
        }


def stages(state: StateDir, ports: Ports, accounts: Mapping[str, str]) -> list[list[Service]]:
    """Return what runs besides the database and the broker, as stages that start one after the other.

    `accounts`: the variables with the passwords that `seed` gives to the operator and the customer account.
    """
    return [
        [Service("database", (PYTHON, "-m", "project.stack.reachable"), Finishes(), {}, start_timeout=20.0)],
        [_manage("migrate", "--noinput", "--verbosity=0")],
        [_manage("seed", env=accounts)],
        [_sandbox(state, ports.sandbox)],
        [_web(ports.web), _worker(), _dispatch(), _beat(state)],
        [_flower(state, ports.flower)],  # last: at its start it asks the workers about themselves
    ]


def _manage(command: str, *options: str, env: Mapping[str, str] | None = None) -> Service:
    return Service(
        command, (PYTHON, "manage.py", command, *options), Finishes(), env or {}, start_timeout=300.0
    )


def _sandbox(state: StateDir, port: int) -> Service:
    argv = _granian("asgi", "orders.sandbox.app:app", port)
    return Service("sandbox", argv, _healthy(port), {"SANDBOX_DB": str(state.file("sandbox.sqlite3"))})


def _web(port: int) -> Service:
    """Django has no lifespan protocol: `asginl` is ASGI without it."""
    argv = _granian("asginl", "project.asgi:application", port, "--workers", str(WEB_PROCESSES))
    return Service("web", argv, _healthy(port), {"DATABASE_POOL_SIZE": "10"})


def _worker() -> Service:
    """The worker of the saga's steps and of everything else that is not delivery."""
    argv = _celery("worker", "-Q", "inventory,payment,shipping,default", "-n", "steps@%h", "-c", "2", *ALONE)
    return Service("worker", argv, Prints("ready."), WARNED, stop_timeout=20.0, background=True)


def _dispatch() -> Service:
    """A worker of its own for delivery: neither a backlog nor a slow step can starve it."""
    argv = _celery("worker", "-Q", "outbox", "-n", "dispatch@%h", "-c", "1", *ALONE)
    return Service("dispatch", argv, Prints("ready."), WARNED, stop_timeout=20.0, background=True)


def _beat(state: StateDir) -> Service:
    argv = _celery("beat", "--schedule", str(state.file("beat-schedule")), "--pidfile=", "--loglevel=INFO")
    return Service("beat", argv, Prints("beat: Starting"), background=True)


def _flower(state: StateDir, port: int) -> Service:
    """Flower reads its user and password from `FLOWER_BASIC_AUTH`, where `ps` does not show them."""
    argv = _celery(
        "flower", f"--address={LOOPBACK}", f"--port={port}",
        "--persistent=True", f"--db={state.file('flower')}", "--state_save_interval=10000",
    )  # fmt: skip
    return Service("flower", argv, _healthy(port, "healthcheck"), background=True)


def _healthy(port: int, path: str = "healthz") -> Answers:
    return Answers(f"http://{LOOPBACK}:{port}/{path}")


def _celery(*arguments: str) -> tuple[str, ...]:
    return (PYTHON, "-m", "celery", "--quiet", "--app=project", *arguments)  # quiet: no banner


def _granian(interface: str, application: str, port: int, *options: str) -> tuple[str, ...]:
    """A web server that, when stopping, waits 5 s for open connections (streams of events stay open)."""
    return (
        PYTHON, "-m", "granian", "--interface", interface, "--host", LOOPBACK, "--port", str(port),
        "--workers-kill-timeout", "5", *options, application,
    )  # fmt: skip
