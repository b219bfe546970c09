"""The platform's processes for several tests, one after the other: each is started by the first test that needs it."""

from __future__ import annotations

import os
from pathlib import Path

import redis

from orders.sandbox.client import SandboxClient
from tests.harness.processes import Platform, Process, answers, free_port
from tests.harness.waiting import wait_until


class SharedPlatform(Platform):
    """Processes that stay while tests come and go.

    No test ends one of them on purpose: for that there is a ``Platform`` of its own. So one that has ended is a
    finding: ``check``, which the others call first, raises it in the test that comes upon it. The next test gets a new
    one.

    Between two tests the database must be emptied by ``Emptying.empty_between_transactions``; then ``check`` is called.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._web_url = ""
        self.outside: SandboxClient = self.sandbox()
        self._at_work: dict[str, list[Process]] = {"sandbox": [*self.processes]}

    def work(self) -> None:
        """Have all that fulfils orders."""
        self.check()
        if "workers" not in self._at_work:
            with redis.Redis.from_url(os.environ["BROKER_URL"]) as broker:
                broker.flushall()
            self._at_work["workers"] = self.whole()

    def rest(self) -> None:
        """Have nobody who takes messages."""
        self.check()
        self._end("workers")

    def web(self) -> str:
        """Have a web process; returns its address."""
        self.check()
        if "web" not in self._at_work:
            self._web_url = f"http://127.0.0.1:{free_port()}"
            self._at_work["web"] = [self.start_web(self._web_url)]
        url = self._web_url
        wait_until(lambda: answers(f"{url}/healthz"), "the web process to answer")
        return url

    def calm_sandbox(self) -> None:
        """Have a sandbox that behaves."""
        self.check()
        if "sandbox" in self._at_work:
            self.outside.reset_faults()
        else:
            self.empty_sandbox()

    def empty_sandbox(self) -> None:
        """Have a sandbox that knows of nothing and behaves."""
        self.check()
        self._end("sandbox")
        self._at_work["sandbox"] = [self.start_sandbox()]

    def check(self) -> None:
        """None has ended by itself. Where one has, what it worked with is ended, too.

        Raises:
            AssertionError: one has. It is said once, with the end of what that one printed.
        """
        ended = [p for group in self._at_work.values() for p in group if p.popen.poll() is not None]
        for name in [name for name, group in self._at_work.items() if set(group) & set(ended)]:
            self._end(name)
        assert not ended, "\n\n".join(map(_told, ended))

    def stop(self) -> None:
        """End everything."""
        super().stop()
        self.outside.close()

    def _end(self, name: str) -> None:
        for process in self._at_work.pop(name, []):
            process.kill()


def _told(process: Process) -> str:
    return (
        f"{process.name}, which tests share, has ended by itself (exit code {process.popen.returncode}), in this test "
        f"or just before. It printed:\n{process.output[-3000:]}"
    )
