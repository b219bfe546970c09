"""Writes of a worker's main process about a child that it is about to end.

At that moment the child lives, and its transaction may hold the very row. The main process must neither wait for it nor
for the database: it has other children to serve, and would not get to killing this one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Thread

from outbox.database import DATABASE_AWAY, connection

logger = logging.getLogger(__name__)

TRIES = 5
PAUSE = 2.0
"""Seconds between two of them: the server takes a moment to notice that a client is dead."""


def afterwards(write: Callable[[], object], what: str) -> Thread:
    """Write in a thread, on a connection of its own, and again where the database does not answer or a lock lasts.

    Args:
        write: carries a fence, so that doing it twice, or late, is harmless.
        what: for the log.

    Returns:
        The thread. It does not hold up the end of the process: what is not written by then is not written.
    """
    thread = Thread(target=_insist, args=(write, what), name=what, daemon=True)
    thread.start()
    return thread


def _insist(write: Callable[[], object], what: str) -> None:
    for left in reversed(range(TRIES)):
        if _try(write, what, last=not left):
            return
        time.sleep(PAUSE)


def _try(write: Callable[[], object], what: str, *, last: bool) -> bool:
    """Whether there is nothing more to do."""
    try:
        write()
    except DATABASE_AWAY:
        if last:
            logger.exception("Not written: %s. Its message will come back by itself", what)
        return last
    except Exception:
        logger.exception("Not written: %s", what)
    finally:
        connection().close()  # later children of this process must not share it
    return True
