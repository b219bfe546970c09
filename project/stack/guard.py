"""A small process that outlives its stack by a moment: when the stack is killed, it ends what is left of it.

It waits for the end of a pipe that only the stack holds. The kernel closes the pipe however the stack dies.
Not guaranteed: when the guard is killed as well, the leftovers live until the next start on the same state.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from project.stack.runs import VARIABLE, Run, end_run
from project.stack.state import PROJECT

FAREWELL = b"stopped in order\n"


class Guard:
    """Context manager: while it is open, the death of this process ends all processes of `run`."""

    def __init__(self, run: Run) -> None:
        self._command = [sys.executable, "-m", "project.stack.guard", run.mark]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        self._process = subprocess.Popen(
            self._command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            with suppress(BrokenPipeError):  # somebody killed the guard: then there is nobody to dismiss
                self._process.communicate(FAREWELL)


def main(mark: str) -> None:
    """Wait for the stack's farewell or death; after a death, end every process that carries `mark`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != FAREWELL:
        end_run(mark)


if __name__ == "__main__":
    main(sys.argv[1])
