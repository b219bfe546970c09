"""The stack of one run: servers of its own, the sandbox, and the platform's processes, each of which may be ended."""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
import redis

from project.stack.servers import EmbeddedServers, embedded_servers
from tests.harness.processes import STEP_QUEUES, Platform, Process, free_port
from tests.harness.project import project_on

if TYPE_CHECKING:
    from orders.sandbox.client import SandboxClient

OUTBOX = {"OUTBOX_RESEND_AFTER": "6"}
"""For whoever sends: the processes, and this one, which places the orders."""
BRIEF = 7.0
"""Seconds that an outage lasts at most in a quick run: longer than clients wait for a broker."""
CLOCK = Path(__file__).parent / "clock"


class Stack(Platform):
    """Servers and processes by role; a killed one is replaced, as a supervisor would.

    Args:
        servers: the database and the broker.
        directory: for logs.
        seed: of everything that is left to chance on this side.
        brief: whether there are fewer and shorter outages, for a quick run.
    """

    application = "tests.chaos.worker"

    def __init__(self, servers: EmbeddedServers, directory: Path, seed: int, *, brief: bool) -> None:
        super().__init__(directory)
        self.servers = servers
        self.random = random.Random(seed)
        self.brief = brief
        self.notes = directory / "notes"
        self.roles: defaultdict[str, list[tuple[Process, Callable[[], Process]]]] = defaultdict(list)
        self.closing: list[Callable[[], object]] = []
        self.env |= {
            **OUTBOX,
            "PYTHONWARNINGS": "ignore",
            "CHAOS_NOTES": str(self.notes),
            "CHAOS_SEED": str(seed),
        }
        self.outside: SandboxClient = self.sandbox()
        os.environ.update({name: self.env[name] for name in ("SANDBOX_URL", "SANDBOX_TOKEN")})

    def run(self, role: str, start: Callable[[], Process]) -> Process:
        """Start a process in a role: ``replace`` starts it again in the same way."""
        process = start()
        self.roles[role].append((process, start))
        return process

    def steps(self, queues: str = STEP_QUEUES, **env: str) -> Process:
        """Start a worker for the steps."""
        return self.run("worker", lambda: self._worker(queues, 2, **env))

    def dispatch(self, **env: str) -> Process:
        """Start a worker for delivery and the watchdog."""
        return self.run("dispatch", lambda: self._worker("outbox", 1, **env))

    def beat(self, **env: str) -> Process:
        """Start Celery's beat."""
        file = str(self.directory / f"beat-{secrets.token_hex(3)}")
        argv = ("celery", "-A", self.application, "beat", "-s", file, "--pidfile=")
        return self.run("beat", lambda: self.start("beat", *argv, **env))

    def relay(self, **env: str) -> Process:
        """Start a relay."""
        return self.run("relay", lambda: self.manage("relay", **env))

    def web(self) -> str:
        """Start the web process; returns its address."""
        url = f"http://127.0.0.1:{free_port()}"
        self.run("web", lambda: self.start_web(url))
        return url

    def usual(self, **env: str) -> None:
        """Two workers for the steps, one for delivery, beat."""
        for _ in range(2):
            self.steps(**env)
        self.dispatch(**env)
        self.beat(**env)

    def ready(self) -> None:
        """Wait until all workers take messages."""
        for role in ("worker", "dispatch"):
            for process, _ in self.roles[role]:
                process.wait_for(" ready.", timeout=120)

    def pick(self, role: str) -> int:
        """One of that role, by chance."""
        return self.random.randrange(len(self.roles[role]))

    def replace(self, role: str, *, how: Callable[[Process], object] = Process.kill) -> int:
        """Kill one of that role, and start another in its place. Returns 1: a fault that has hit."""
        index = self.pick(role)
        process, start = self.roles[role][index]
        how(process)
        self.processes.remove(process)
        self.roles[role][index] = (start(), start)
        return 1

    def kill_child(self, role: str = "worker") -> int:
        """SIGKILL to a process of a worker's pool. Returns how many were hit."""
        process, _ = self.roles[role][self.pick(role)]
        try:
            self.random.choice(process.children()).send_signal(signal.SIGKILL)
        except (psutil.NoSuchProcess, IndexError):
            return 0
        return 1

    def noted(self) -> list[float]:
        """When the processes noted that a fault had hit them, in seconds since the epoch."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [float(line.split()[0]) for line in lines]

    def hold(self, seconds: float) -> None:
        """Let an outage last."""
        time.sleep(min(seconds, BRIEF) if self.brief else seconds)

    @property
    def broker(self) -> redis.Redis:
        """A connection to the broker."""
        return redis.Redis.from_url(self.servers.broker_url)

    def stop(self) -> None:
        """End everything."""
        super().stop()
        for close in reversed(self.closing):
            close()
        self.outside.close()


@contextmanager
def open_stack(seed: int, *, brief: bool) -> Iterator[Stack]:
    """Servers, migrated and empty database, Django set up for this process; all of it ends with the block."""
    with (
        embedded_servers() as servers,
        TemporaryDirectory(prefix="todoke-chaos-") as directory,
        project_on(servers, OUTBOX_WAKE_UP="direct,task", **OUTBOX),
    ):
        stack = Stack(servers, Path(directory), seed, brief=brief)
        try:
            yield stack
        finally:
            stack.stop()
