"""Background work gives way: people wait for the web process, nobody waits for a worker.

On a machine of its own nothing changes: a low priority only counts while somebody else wants the processor, too. The
servers keep theirs, as both sides need them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from project.stack.errors import StackError

VARIABLE = "TODOKE_NICENESS"
DEFAULT = 10
"""A tenth of the processor time that the web process gets where both want it: waiting, and not starved."""
LOWEST = 19
TRIES, PAUSE = 5, 0.11
"""The kernel takes a user's change of a session's niceness every tenth of a second."""


def niceness(environment: Mapping[str, str] = os.environ) -> int:
    """How far background work gives way: 0 (not at all) to 19 (to everybody), from `$TODOKE_NICENESS`.

    Raises StackError when it is anything else.
    """
    text = environment.get(VARIABLE, "").strip() or str(DEFAULT)
    if not (text.isascii() and text.isdigit() and int(text) <= LOWEST):
        raise StackError(
            f"{VARIABLE}={text} is not a niceness: give 0 (none) to {LOWEST} (gives way to all)."
        )
    return int(text)


def give_way(pid: int, *, by: int | None = None) -> None:
    """Lower the priority of a process that leads a session of its own, and of what it starts from now on.

    Where Linux schedules sessions and not processes (autogroup, usual on desktops), niceness counts only within a
    session: so the session gets it, too. Not guaranteed: anything, where the process has ended or may not be changed.
    """
    amount = niceness() if by is None else by
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, min(os.getpriority(os.PRIO_PROCESS, pid) + amount, LOWEST))
    _lower_session(Path(f"/proc/{pid}/autogroup"), amount)


def _lower_session(autogroup: Path, amount: int) -> None:
    for _ in range(TRIES if autogroup.exists() else 0):
        with suppress(OSError):
            autogroup.write_text(str(amount))
            return
        time.sleep(PAUSE)
