"""What runs where: the note that a running stack keeps for other programs in its state directory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from project.stack.state import StateDir, state_path

FILE = "run.json"
SAME_START = 2.0  # seconds by which two readings of one process's start may differ (the clock is corrected)
POLL = 0.1  # seconds between two looks at a stack that is starting

STARTING, READY, STOPPING = "starting", "ready", "stopping"


@dataclass(frozen=True)
class RunInfo:
    """A stack: its supervisor, the addresses of what it runs, and the environment for programs beside it.

    `urls` has the keys shop, admin, api_docs, sandbox, flower. `env` has the variables that the stack's own
    processes get, with their secrets, the passwords of the operator and the customer account, and the
    customer's API key.
    `processes` maps names to process ids.
    """

    state_dir: Path
    pid: int
    started_at: float
    status: str
    urls: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_process(cls, state: StateDir, pid: int) -> RunInfo:
        """Return the information of a stack that the process `pid` begins to start on `state`."""
        return cls(state.path, pid, psutil.Process(pid).create_time(), STARTING)

    def save(self, state: StateDir, **changes: Any) -> RunInfo:
        """Write the information with `changes` to the state directory and return it."""
        changed = replace(self, **changes)
        state.write(
            FILE, json.dumps(asdict(changed) | {"state_dir": str(changed.state_dir)}, indent=2) + "\n"
        )
        return changed

    @property
    def alive(self) -> bool:
        """Whether the supervisor process that wrote this still exists."""
        try:
            started_at: float = psutil.Process(self.pid).create_time()
        except psutil.Error:
            return False
        return abs(started_at - self.started_at) < SAME_START


def read_run(state_dir: Path | None = None) -> RunInfo | None:
    """Return what the stack on `state_dir` (default: as `state_path`) says of itself, in any status, or None.

    A note left by a killed stack, and one that cannot be read, counts as none.
    """
    try:
        fields = json.loads((state_path(state_dir) / FILE).read_text())
        info = RunInfo(**fields | {"state_dir": Path(fields["state_dir"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return info if info.alive else None


def running(state_dir: Path | None = None, wait_seconds: float = 120.0) -> RunInfo | None:
    """Return the ready stack on `state_dir`, or None when there is none.

    A stack that is just starting is waited for, `wait_seconds` at most.
    """
    deadline = time.monotonic() + wait_seconds
    info = read_run(state_dir)
    while info is not None and info.status == STARTING and time.monotonic() < deadline:
        time.sleep(POLL)
        info = read_run(state_dir)
    return info if info is not None and info.status == READY else None


def forget_run(state: StateDir) -> None:
    """Remove the note, because the stack has ended."""
    state.file(FILE).unlink(missing_ok=True)
