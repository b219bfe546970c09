"""A child process of the stack: described by a `Service`, run by a `ServiceProcess`."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from project.stack.priority import give_way
from project.stack.readiness import Condition, Finishes
from project.stack.runs import Run, end_group

REMEMBERED_LINES = 500
TAIL_LINES = 15
KILL_TIMEOUT = 5.0  # seconds that the kernel gets to end a killed process


@dataclass(frozen=True)
class Service:
    """A process to run: its command line, what it adds to the environment, and when it counts as ready.

    A service whose condition is `Finishes` runs once, before the next stage; others run until they are
    stopped. Times are in seconds. What works in the `background` gives way to whom people wait for.
    """

    name: str
    argv: tuple[str, ...]
    ready: Condition
    env: Mapping[str, str] = field(default_factory=dict)
    start_timeout: float = 90.0
    stop_timeout: float = 10.0
    background: bool = False


class ServiceProcess:
    """Runs a `Service` in a session of its own: a Ctrl-C at the terminal reaches only the supervisor."""

    def __init__(
        self,
        service: Service,
        *,
        env: Mapping[str, str],
        cwd: Path,
        run: Run,
        on_line: Callable[[str, str], None],
    ) -> None:
        """`env`: what all services get; `on_line(name, line)` gets the output, from another thread."""
        self.service = service
        self.name = service.name
        self._env = env
        self._cwd = cwd
        self._run = run
        self._on_line = on_line
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._asked_to_stop = False

    @property
    def pid(self) -> int | None:
        """The process id, or None when it does not run."""
        return self._process.pid if self._process is not None and self.exit_code is None else None

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs or before its start."""
        return self._process.poll() if self._process is not None else None

    @property
    def ready(self) -> bool:
        """Whether the service's condition is met."""
        return self.service.ready.met(self)

    @property
    def once(self) -> bool:
        """Whether the service ends by itself."""
        return isinstance(self.service.ready, Finishes)

    @property
    def start_timeout(self) -> float:
        """Seconds that the service gets to become ready."""
        return self.service.start_timeout

    def start(self) -> None:
        """Start the process and return at once. Raises OSError when the program cannot be executed."""
        self._lines.clear()
        self._asked_to_stop = False
        environment = {**os.environ, **self._env, **self.service.env, **self._run.environment()}
        self._process = subprocess.Popen(
            self.service.argv,
            cwd=self._cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self.service.background:
            give_way(self._process.pid)
        self._reader = threading.Thread(target=self._pump, args=(self._process,), daemon=True)
        self._reader.start()

    def request_stop(self) -> None:
        """Ask the process to end (SIGTERM), once: some take a second time for haste. Returns at once."""
        if self._process is not None and not self._asked_to_stop:
            self._asked_to_stop = True
            self._process.terminate()

    def stop(self) -> None:
        """Ask the process to end; after `stop_timeout`, and for what it leaves behind, use force."""
        if self._process is None or self.pid is None:
            return
        self.request_stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self.service.stop_timeout)
        self.kill()

    def kill(self) -> None:
        """End the process, where it still runs, and its group at once (SIGKILL)."""
        if self._process is None:
            return
        if self.pid is not None:
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_TIMEOUT)
        end_group(self._run.mark, self._process.pid)
        if self._reader is not None:
            self._reader.join(KILL_TIMEOUT)

    def wait(self) -> int | None:
        """Wait until the process ends and return its exit code. Safe in any thread."""
        return self._process.wait() if self._process is not None else None

    def has_printed(self, text: str) -> bool:
        """Say whether `text` is in one of the last lines of output."""
        return any(text in line for line in list(self._lines))

    def tail(self) -> str:
        """Return the last lines of output."""
        return "\n".join(list(self._lines)[-TAIL_LINES:])

    def _pump(self, process: subprocess.Popen[bytes]) -> None:
        with process.stdout or open(os.devnull, "rb") as output:
            for raw in output:
                line = raw.decode(errors="replace").rstrip("\r\n")
                self._lines.append(line)
                self._on_line(self.name, line)
