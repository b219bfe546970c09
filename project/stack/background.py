"""A whole stack for the duration of a block of code, as a child of this process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from project.stack.errors import AlreadyRunningError, StackError
from project.stack.runinfo import READY, RunInfo, read_run
from project.stack.runs import VARIABLE as RUN_VARIABLE
from project.stack.state import PROJECT, VARIABLE, StateDir

START_TIMEOUT = 600.0  # seconds; each step of the start has its own, shorter limit
STOP_TIMEOUT = 60.0  # seconds, likewise
POLL = 0.1
TAIL_LINES = 20


@contextmanager
def background_stack(state_dir: Path | None = None, quiet: bool = True) -> Iterator[RunInfo]:
    """Start the full stack, its output in a log file; yield what runs where; stop everything at the end.

    `quiet=False` says on standard error what is going on. The stack stops too when this process is killed.
    Raises AlreadyRunningError when a stack is running on `state_dir`, StackError when it does not start.
    """
    state = StateDir.open(state_dir)
    if read_run(state.path) is not None:
        raise AlreadyRunningError(f"another stack is using {state.path}; see: python -m project.stack status")
    log = state.log("stack")
    if not quiet:
        print(f"Starting Todoke (log: {log})", file=sys.stderr, flush=True)
    with _launch(state, log) as process:
        try:
            yield _await_ready(process, state, log)
        finally:
            if not quiet:
                print("Stopping Todoke", file=sys.stderr, flush=True)
            _stop(process)


def _launch(state: StateDir, log: Path) -> subprocess.Popen[bytes]:
    log.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
    with open(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "project.stack", "up", "--unattended"],
            cwd=PROJECT,
            env=environment | {VARIABLE: str(state.path)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _await_ready(process: subprocess.Popen[bytes], state: StateDir, log: Path) -> RunInfo:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        info = read_run(state.path)
        if info is not None and info.pid == process.pid and info.status == READY:
            return info
        time.sleep(POLL)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
    raise StackError(f"the stack did not start. The end of {log}:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    process.kill()  # its guard then ends what is left
