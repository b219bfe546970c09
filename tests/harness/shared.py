"""The platform's processes for several tests, one after the other: each is started by the first test that needs it."""

from __future__ import annotations

import os
from pathlib import Path

import redis

from orders.sandbox.client import SandboxClient
from tests.harness.processes import Platform, Process, answers, free_port
from tests.harness.waiting import wait_until


class SharedPlatform(Platform):
    """Processes that stay while tests come and go. One that has died is started again when it is asked for.

    Between two tests the database must be emptied by ``Emptying.empty_between_transactions``.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._workers: list[Process] = []
        self._web: Process | None = None
        self._web_url = ""
        self.outside: SandboxClient = self.sandbox()
        (self._sandbox,) = self.processes

    def work(self) -> None:
        """Have all that fulfils orders."""
        if not all(map(_lives, self._workers)):
            self.rest()
        if not self._workers:
            with redis.Redis.from_url(os.environ["BROKER_URL"]) as broker:
                broker.flushall()
            self._workers = self.whole()

    def rest(self) -> None:
        """Have nobody who takes messages."""
        for process in self._workers:
            process.kill()
        self._workers = []

    def web(self) -> str:
        """Have a web process; returns its address."""
        if self._web is None or not _lives(self._web):
            self._web_url = f"http://127.0.0.1:{free_port()}"
            self._web = self.start_web(self._web_url)
        url = self._web_url
        wait_until(lambda: answers(f"{url}/healthz"), "the web process to answer")
        return url

    def empty_sandbox(self) -> None:
        """Have a sandbox that knows of nothing and behaves."""
        self._sandbox.kill()
        self._sandbox = self.start_sandbox()

    def stop(self) -> None:
        """End everything."""
        super().stop()
        self.outside.close()


def _lives(process: Process) -> bool:
    return process.popen.poll() is None
