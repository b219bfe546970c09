"""What PostgreSQL and Valkey have in common as embedded servers: a port, a log, and an orderly life."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from project.stack.errors import StackError
from project.stack.placement import Placement
from project.stack.ports import free_ports
from project.stack.runs import Run, await_end

START_TIMEOUT = 60.0  # seconds; crash recovery of a large database takes its time
KILL_TIMEOUT = 10.0  # seconds that the kernel gets to end a killed process
POLL = 0.01  # seconds between two looks at a starting server
PORTS_TRIED = 5
TAIL_LINES = 15
LOG_LIMIT = 10_000_000  # bytes, after which the next start begins a new log and keeps one old one
PORT_TAKEN = "Address already in use"


class EmbeddedServer(ABC):
    """One server process, reachable on 127.0.0.1 only and with a password only.

    The first `start` chooses a free port; later starts use the same one. Use it from one thread at a time,
    except `wait`. Not guaranteed: that the process still lives; see `alive`.
    """

    name: str
    once = False
    start_timeout = START_TIMEOUT

    def __init__(
        self, placement: Placement, password: str, *, log: Path, run: Run, durable: bool = True
    ) -> None:
        """`log`: file for the server's output; `durable=False`: quicker, and unsafe at power loss."""
        self.port: int | None = None
        self._placement = placement
        self._password = password
        self._log = log
        self._run = run
        self._durable = durable
        self._directory = placement.own(self.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients, with the password."""

    @property
    def pid(self) -> int | None:
        """The process id of the running server, or None."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the main process (negative: the signal that ended it), or None."""
        return self._process.poll() if self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether the server's main process exists (it may be frozen)."""
        return self._process is not None and self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether the server runs: `start` returns only when it answers."""
        return self.alive

    def start(self) -> None:
        """Start the server and return when it answers. Does nothing when it is alive already.

        Raises StackError, with the end of the server's log, when it does not come up.
        """
        if self.alive:
            return
        self._prepare()
        for port in self._candidate_ports():
            self._launch(port)
            if self._came_up(port):
                self.port = port
                self._after_start()
                return
            if PORT_TAKEN not in self._output():
                break
        raise StackError(f"{self.name} did not start. The end of {self._log}:\n{self.tail()}")

    def stop(self) -> None:
        """Stop the server in order, within bounded time; force it when it does not obey."""
        self._end(self._stop_signals())

    def kill(self) -> None:
        """End the server and its children at once, as a power cut would (SIGKILL)."""
        family = self._family()
        _signal_all(family, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(KILL_TIMEOUT)
        await_end(family, KILL_TIMEOUT)

    def freeze(self) -> None:
        """Suspend the server (SIGSTOP): it keeps its connections and does not answer."""
        _signal_all(self._family(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        _signal_all(self._family(), signal.SIGCONT)

    def request_stop(self) -> None:
        """Ask the server to stop in order and return at once; `stop` then waits."""
        number, _ = self._stop_signals()[0]
        _signal_all(self._main(), number)

    def wait(self) -> int | None:
        """Wait until the main process ends; return its exit code. Safe in any thread."""
        return self._process.wait() if self._process is not None else None

    def tail(self) -> str:
        """Return the last lines that the server wrote to its log since it was last launched."""
        return "\n".join(self._output().splitlines()[-TAIL_LINES:])

    @abstractmethod
    def _prepare(self) -> None:
        """Make ready what a start needs; the server is not running."""

    @abstractmethod
    def _command(self, port: int) -> Sequence[str | Path]:
        """Return the command line of a server that stays in the foreground and listens on `port`."""

    @abstractmethod
    def _answers(self, port: int) -> bool:
        """Say whether the server just launched takes connections on `port`."""

    @abstractmethod
    def _stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        """Return signals to send in turn, each with the seconds to wait for the end; SIGKILL follows."""

    def _after_start(self) -> None:  # noqa: B027 - most servers need nothing
        """Do what the server needs once it answers."""

    def _candidate_ports(self) -> Iterator[int]:
        return iter((self.port,)) if self.port is not None else islice(free_ports(), PORTS_TRIED)

    def _launch(self, port: int) -> None:
        self._rotate_log()
        with open(self._log, "ab", opener=_private) as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self._command(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._options(),
            )

    def _options(self) -> dict[str, Any]:
        """Arguments for `subprocess`: the account, and an environment without this user's secrets."""
        account = self._placement.account
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **self._run.environment()}
        return {
            "cwd": self._directory,
            "env": environment,
            "umask": 0o077,
            **(account.options() if account else {}),
        }

    def _came_up(self, port: int) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while self.alive and time.monotonic() < deadline:
            if self._answers(port):
                return True
            time.sleep(POLL)
        self._end(())
        return False

    def _end(self, signals: Iterable[tuple[signal.Signals, float]]) -> None:
        for number, patience in signals:
            _signal_all(self._main(), number)
            self.thaw()  # a frozen process would not notice
            with suppress(subprocess.TimeoutExpired):
                if self._process is not None:
                    self._process.wait(patience)
                break
        self.kill()

    def _main(self) -> list[psutil.Process]:
        return self._family()[:1]

    def _family(self) -> list[psutil.Process]:
        """The server's process and its children; the latter are in sessions of their own (PostgreSQL)."""
        with suppress(psutil.NoSuchProcess):
            if self.pid is not None:
                main = psutil.Process(self.pid)
                return [main, *main.children(recursive=True)]
        return []

    def _output(self) -> str:
        try:
            return self._log.read_bytes()[self._log_start :].decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _rotate_log(self) -> None:
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".old.log"))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _signal_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
