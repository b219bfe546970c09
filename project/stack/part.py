"""What the supervisor runs, seen from the supervisor."""

from __future__ import annotations

import signal
from typing import Protocol


class Part(Protocol):
    """An embedded server or a service process: one main process that is started and stopped."""

    name: str

    @property
    def pid(self) -> int | None:
        """The id of the main process, or None when it does not run."""
        ...

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs or before its start."""
        ...

    @property
    def ready(self) -> bool:
        """Whether those that need it can use it."""
        ...

    @property
    def once(self) -> bool:
        """Whether it does a piece of work and ends by itself."""
        ...

    @property
    def start_timeout(self) -> float:
        """Seconds that it gets to become ready."""
        ...

    def start(self) -> None:
        """Start it. Raises StackError or OSError when that fails."""

    def request_stop(self) -> None:
        """Ask it to end and return at once."""

    def stop(self) -> None:
        """End it, in order and within bounded time."""

    def kill(self) -> None:
        """End it, and what it left behind, at once."""

    def wait(self) -> int | None:
        """Wait until the main process ends; return its exit code. Called in a thread of its own."""
        ...

    def tail(self) -> str:
        """Return its last lines of output."""
        ...


def ending(part: Part) -> str:
    """Say in words how `part` ended."""
    code = part.exit_code
    if code is None:
        return "did not start"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def last_lines(part: Part) -> str:
    """Return the last lines of output of `part`, as the second half of a message."""
    lines = part.tail().splitlines()
    return "\n    ".join(["Its last lines:", *lines]) if lines else "It printed nothing."
