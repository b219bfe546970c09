"""Ports that a stack keeps for its web servers, so that no other stack of the same user takes them too.

The web server listens with `SO_REUSEPORT`: a second one on the same port is not refused, but silently gets
half of the connections. That a port is free when a stack looks is not enough: its server listens only seconds
later.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from project.stack.errors import StackError
from project.stack.ports import is_free

PORTS_TRIED = 100


class Reservations:
    """Context manager: the ports reserved in it are this process's until it is left, or the process dies.

    Not guaranteed: programs that are not stacks know nothing of it, nor do stacks with another `TMPDIR`.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """`directory`: for one small file per port; by default one of this user's, for temporary files."""
        self.directory = directory or Path(tempfile.gettempdir(), f"todoke-ports-{os.geteuid()}")
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self.directory.mkdir(mode=0o700, exist_ok=True)
        if self.directory.stat().st_uid != os.geteuid():
            raise StackError(f"{self.directory} belongs to another user. Remove it, or set TMPDIR.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def reserve(self, port: int) -> bool:
        """Reserve `port` when it is free and no other stack's; say whether that was so."""
        with ExitStack() as attempt:
            note = attempt.enter_context((self.directory / str(port)).open("w"))
            try:
                fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if not is_free(port):
                return False
            self._held.push(attempt.pop_all())
            return True

    def reserve_near(self, preferred: int) -> int:
        """Reserve `preferred` or the next higher free port, and return it.

        Raises StackError when a hundred in a row are taken.
        """
        for port in islice(range(preferred, 65_536), PORTS_TRIED):
            if self.reserve(port):
                return port
        raise StackError(
            f"no free port near {preferred} on 127.0.0.1: stop some of the programs that listen there."
        )
