"""The processes of Todoke: what runs, with which command, and when it counts as ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from project.stack.readiness import Answers, Finishes, Prints
from project.stack.service import Service
from project.stack.state import StateDir

PYTHON = sys.executable
LOOPBACK = "127.0.0.1"


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
        [_manage("migrate", "--noinput", "--verbosity=0")],
        [_manage("seed", env=accounts)],
        [_sandbox(state, ports.sandbox)],
        [_web(ports.web), _worker(), _dispatch(), _beat(state), _flower(state, ports.flower)],
    ]


def _manage(command: str, *options: str, env: Mapping[str, str] | None = None) -> Service:
    return Service(
        command, (PYTHON, "manage.py", command, *options), Finishes(), env or {}, start_timeout=300.0
    )


def _sandbox(state: StateDir, port: int) -> Service:
    env = {"SANDBOX_DB": str(state.file("sandbox.sqlite3"))}
    return Service(
        "sandbox", _granian("orders.sandbox.app:app", port), Answers(f"http://{LOOPBACK}:{port}/healthz"), env
    )


def _web(port: int) -> Service:
    return Service(
        "web", _granian("project.asgi:application", port), Answers(f"http://{LOOPBACK}:{port}/healthz")
    )


def _worker() -> Service:
    """The worker of the saga's steps and of everything else that is not delivery."""
    argv = _celery("worker", "-Q", "inventory,payment,shipping,default", "-n", "steps@%h", "-c", "2", *QUIET)
    return Service("worker", argv, Prints("ready."), stop_timeout=20.0)


def _dispatch() -> Service:
    """A worker of its own for delivery: neither a backlog nor a slow step can starve it."""
    argv = _celery("worker", "-Q", "outbox", "-n", "dispatch@%h", "-c", "1", *QUIET)
    return Service("dispatch", argv, Prints("ready."), stop_timeout=20.0)


def _beat(state: StateDir) -> Service:
    argv = _celery("beat", "--schedule", str(state.file("beat-schedule")), "--pidfile=", "--loglevel=INFO")
    return Service("beat", argv, Prints("beat: Starting"))


def _flower(state: StateDir, port: int) -> Service:
    """Flower reads its user and password from `FLOWER_BASIC_AUTH`, where `ps` does not show them."""
    options = (
        f"--address={LOOPBACK}",
        f"--port={port}",
        "--persistent=True",
        f"--db={state.file('flower')}",
        "--state_save_interval=10000",
    )
    return Service("flower", _celery("flower", *options), Answers(f"http://{LOOPBACK}:{port}/healthcheck"))


QUIET = ("--without-gossip", "--without-mingle", "--loglevel=INFO")


def _celery(*arguments: str) -> tuple[str, ...]:
    return (PYTHON, "-m", "celery", "--app=project", *arguments)


def _granian(application: str, port: int) -> tuple[str, ...]:
    return (
        PYTHON, "-m", "granian", "--interface", "asgi", "--host", LOOPBACK, "--port", str(port),
        "--workers-kill-timeout", "5", application,
    )  # fmt: skip
