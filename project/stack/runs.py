"""Marking processes: every process that a stack starts carries the stack's run in its environment.

That mark is inherited by children and children's children and survives the death of any of them, so that
whatever a killed stack left behind can be found and ended, without lists of process numbers that may have
been given to others.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

VARIABLE = "TODOKE_RUN"
PATIENCE = 3.0  # seconds that a process gets to end after being asked
POLL = 0.01  # seconds between two looks at ending processes


@dataclass(frozen=True)
class Run:
    """One run of a stack on one state directory."""

    state: Path
    id: str

    @classmethod
    def new(cls, state: Path) -> Run:
        """Return a run that is like no other, on the state directory `state`."""
        return cls(state, secrets.token_hex(4))

    @property
    def mark(self) -> str:
        """The value of the environment variable that the run's processes carry."""
        return f"{self.state}:{self.id}"

    def environment(self) -> dict[str, str]:
        """Return the variable to add to the environment of each process of this run."""
        return {VARIABLE: self.mark}


def end_run(mark: str, patience: float = PATIENCE) -> int:
    """End every process that carries `mark`, with `patience` 0 by SIGKILL; return how many there were."""
    return _end(mark.__eq__, patience)


def end_earlier_runs(state: Path, patience: float = PATIENCE) -> int:
    """End what earlier runs on `state` left behind; return how many processes. For the lock's holder only."""
    return _end(lambda value: value.rpartition(":")[0] == str(state), patience)


def end_group(mark: str, group: int) -> None:
    """Kill what is left of the process group `group`, among the processes that carry `mark`."""
    end_processes((process for process in _marked(mark.__eq__) if _group(process) == group), patience=0)


def end_processes(processes: Iterable[psutil.Process], patience: float) -> None:
    """Ask `processes` to end, wait `patience` seconds, kill those still there, and wait for their end.

    PostgreSQL is asked with SIGINT, which to it means "fast": do not wait for clients.
    """
    remaining = list(processes)
    if patience > 0:
        for process in remaining:
            _signal(process, signal.SIGINT if _name(process) == "postgres" else signal.SIGTERM)
            _signal(process, signal.SIGCONT)
        remaining = await_end(remaining, patience)
    for process in remaining:
        _signal(process, signal.SIGKILL)
    await_end(remaining, PATIENCE)


def await_end(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait at most `timeout` seconds until `processes` have ended; return those that have not.

    A zombie has ended: in a container, the process number 1 may never collect it.
    """
    deadline = time.monotonic() + timeout
    remaining = [process for process in processes if _lives(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(POLL)
        remaining = [process for process in remaining if _lives(process)]
    return remaining


def _end(ours: Callable[[str], bool], patience: float) -> int:
    found = set(_marked(ours))
    for process in tuple(found):
        with suppress(psutil.Error):
            found.update(
                process.children(recursive=True)
            )  # PostgreSQL's children overwrite their environment
    end_processes(found, patience)
    return len(found)


def _marked(ours: Callable[[str], bool]) -> list[psutil.Process]:
    return [
        process for process in psutil.process_iter() if process.pid != os.getpid() and ours(_mark(process))
    ]


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def _mark(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(VARIABLE, ""))
    except (psutil.Error, OSError):
        return ""  # gone meanwhile, or another user's: not ours


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
