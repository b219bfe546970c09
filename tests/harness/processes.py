"""Real processes of the platform, against the test's database and broker."""

from __future__ import annotations

import atexit
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
from django.db import connection

from orders.sandbox.client import SandboxClient
from project.stack.ports import free_ports
from project.stack.reservations import Reservations
from tests.harness.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STEP_QUEUES = "inventory,payment,shipping,default"
KILLED = ("celery", "granian")
"""Programs that tests end by SIGKILL: a measurement of their coverage would be lost with them, and makes their start
half as long again."""


_until_the_end = ExitStack()
atexit.register(_until_the_end.close)
PORTS = _until_the_end.enter_context(Reservations())
"""Those of the web servers that this process starts: two servers on one port would share its connections, silently."""


class Process:
    """A child in a process group of its own, with its output in a file.

    Args:
        name: for messages and for the log's name.
        argv: the command; a program of the virtual environment by its bare name.
        env: added to this process's environment.
        directory: where the log goes.
    """

    def __init__(self, name: str, argv: list[str], env: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}-{secrets.token_hex(3)}.log"
        program = BIN / argv[0]
        command = [str(program) if program.exists() else argv[0], *argv[1:]]
        environment = {**os.environ, **env}
        if argv[0] in KILLED:
            environment.pop("COVERAGE_PROCESS_CONFIG", None)
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
            )

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, *, timeout: float = 40.0) -> Process:
        """Wait until it has printed the text."""

        def printed() -> bool:
            assert self.popen.poll() is None or text in self.output, (
                f"{self.name} ended:\n{self.output[-3000:]}"
            )
            return text in self.output

        wait_until(printed, f"{self.name} to print {text!r}", timeout=timeout)
        return self

    def children(self) -> list[psutil.Process]:
        """Its live descendants, such as a worker's pool."""
        return psutil.Process(self.popen.pid).children(recursive=True)

    def kill(self) -> None:
        """SIGKILL to it and all its descendants: the machine lost power."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self, *, timeout: float = 25.0) -> int:
        """SIGTERM, and wait for it to end. Returns its exit code."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.name} did not stop within {timeout} s:\n{self.output[-3000:]}"
            ) from None


class Platform:
    """Starts the platform's processes for a test, and ends them with it."""

    application = "project"
    """What Celery's workers run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[Process] = []
        self.env = {
            "DATABASE_URL": self._test_database_url(),
            "OUTBOX_WAKE_UP": "direct,task",
            "OUTBOX_DISPATCH_INTERVAL": "1",
            "OUTBOX_SAGA_SWEEP_INTERVAL": "1",
            "OUTBOX_RESEND_AFTER": "3",
            "OUTBOX_RESCUE_INTERVAL": "1",
            "OUTBOX_LEASE": "3",
            "OUTBOX_UNKNOWN_TYPE_PATIENCE": "2",
            "STEP_TIMEOUT_SECONDS": "4",
            "GATEWAY_TIMEOUT_SECONDS": "2",
            "EMAIL_URL": "consolemail://",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, name: str, *argv: str, **env: str) -> Process:
        """Start a process."""
        process = Process(name, list(argv), {**self.env, **env}, self.directory)
        self.processes.append(process)
        return process

    def sandbox(self) -> SandboxClient:
        """Start the sandbox; every process started later uses it."""
        url, token = f"http://127.0.0.1:{free_port()}", secrets.token_hex()
        self.env |= {"SANDBOX_URL": url, "SANDBOX_TOKEN": token}
        self.start_sandbox()
        return SandboxClient(url, token)

    def start_sandbox(self) -> Process:
        """Start it where the others look for it, with an empty ledger."""
        url = self.env["SANDBOX_URL"]
        self.env["SANDBOX_DB"] = str(self.directory / f"sandbox-{secrets.token_hex(3)}.sqlite3")
        address = ("--host", "127.0.0.1", "--port", url.rpartition(":")[2])
        started = self.start("sandbox", "granian", "--interface", "asgi", "orders.sandbox.app:app", *address)
        wait_until(lambda: answers(f"{url}/healthz"), "the sandbox to answer")
        return started

    def start_web(self, url: str, **env: str) -> Process:
        """Start a web process that is going to answer at that address."""
        address = ("--host", "127.0.0.1", "--port", url.rpartition(":")[2])
        return self.start(
            "web", "granian", "--interface", "asginl", "project.asgi:application", *address, **env
        )

    def worker(
        self, queues: str = STEP_QUEUES, *, concurrency: int = 2, include: str = "", **env: str
    ) -> Process:
        """Start a Celery worker, with the tasks of a further module if one is named. It is ready when this returns."""
        return self._worker(queues, concurrency, include, **env).wait_for(" ready.")

    def whole(self) -> list[Process]:
        """Start all that fulfils orders: step worker, dispatch worker, beat."""
        beat = str(self.directory / f"beat-{secrets.token_hex(3)}")
        workers = [self._worker(STEP_QUEUES, 2), self._worker("outbox", 1)]
        ticking = self.start("beat", "celery", "-A", "project", "beat", "-s", beat)
        for worker in workers:
            worker.wait_for(" ready.")
        return [*workers, ticking]

    def manage(self, *argv: str, **env: str) -> Process:
        """Start a management command."""
        return self.start(argv[0], "python", "manage.py", *argv, **env)

    def stop(self) -> None:
        """End everything."""
        for process in reversed(self.processes):
            process.kill()

    def _worker(self, queues: str, concurrency: int, include: str = "", **env: str) -> Process:
        name = f"{queues.split(',', maxsplit=1)[0]}-{secrets.token_hex(2)}"
        flags = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        celery = ("celery", "-A", self.application, "worker")
        argv = (*celery, "-Q", queues, "-n", f"{name}@%h", "-c", str(concurrency))
        return self.start(f"worker-{name}", *argv, *(("-I", include) if include else ()), *flags, **env)

    @staticmethod
    def _test_database_url() -> str:
        own, test = os.environ["DATABASE_URL"].rsplit("/", 1)[0], connection.settings_dict["NAME"]
        return f"{own}/{test}"


def free_port() -> int:
    """A port that nobody listens on. No other test's process gets it, nor does a stack, before this one has ended."""
    return next(port for port in free_ports() if PORTS.reserve(port))


def answers(url: str) -> bool:
    """Whether something answers there with success."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def is_there(url: str) -> bool:
    """Whether something answers there at all."""
    try:
        httpx.get(url, timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return True
