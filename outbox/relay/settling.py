"""Write down what became of one batch while the next ones are claimed and sent, and again what was missed.

A settle waits for no row that another transaction holds: it may be that of a consumer that was quicker, which settles
by itself when it ends. But a claim of another relay, too, holds rows that were taken since it began, until it ends. So
what is left is settled once more, a moment later.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from concurrent.futures import Future

from outbox.database import DATABASE_AWAY, connection
from outbox.relay.batch import Batch, Round
from outbox.relay.sender import Sender
from outbox.transports.base import Errors
from outbox.wording import describe

logger = logging.getLogger(__name__)

AGAIN_AFTER = 0.2
"""Seconds until what was left is settled again. A claim is over by then, and most of the quick consumers are, too."""


class Settling:
    """Settles the batches of one relay, in order: in the background, on a connection of its own, as long as more
    follows; else here. So whoever finds little to do needs neither thread nor second connection.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: Sender[Round] | None = None
        self._under_way: tuple[Batch, Errors, Future[Round]] | None = None
        self._left: deque[tuple[float, Batch, Errors]] = deque()

    @property
    def patience(self) -> float:
        """Seconds until something that was left is to be settled again."""
        return max(0.0, self._left[0][0] - time.monotonic()) if self._left else math.inf

    def settle(self, batch: Batch, errors: Errors, *, more: bool) -> Round:
        """Settle a batch, after the one before. Returns what is settled by now and was not told yet.

        Args:
            batch: it has been sent.
            errors: of those of its messages that could not be sent.
            more: whether there is other work meanwhile.
        """
        done = self._wait()
        if not (more and _can_be_aside()):
            return done + self._settle(batch, errors)
        self._thread = self._thread or Sender(f"{self._name} settles")
        self._under_way = (batch, errors, self._thread.submit(lambda: batch.settle(errors)))
        return done

    def finish(self) -> Round:
        """Wait for what is under way, and let go of the thread and its connection."""
        try:
            return self._wait()
        finally:
            if self._thread:
                self._thread.submit(_let_go)
                self._thread.close()
                self._thread = None

    def settle_left(self, *, at_once: bool = False) -> Round:
        """Settle again what was left a moment ago: once, for whoever holds it longer is a consumer.

        Args:
            at_once: do not wait for its moment, there is none later.
        """
        done = Round()
        while self._left and (at_once or not self.patience):
            _, batch, errors = self._left.popleft()
            done += batch.settle(errors)
        return done

    def _wait(self) -> Round:
        """Where the connection of what is under way failed, it is settled on ours: settling twice is once."""
        if self._under_way is None:
            return Round()
        (batch, errors, outcome), self._under_way = self._under_way, None
        try:
            done = outcome.result()
        except DATABASE_AWAY as error:
            logger.warning("Settling again on another connection: %s", describe(error))
            if self._thread:
                self._thread.submit(_let_go)
            return self._settle(batch, errors)
        self._note(batch, errors)
        return done

    def _settle(self, batch: Batch, errors: Errors) -> Round:
        done = batch.settle(errors)
        self._note(batch, errors)
        return done

    def _note(self, batch: Batch, errors: Errors) -> None:
        if batch.messages:
            self._left.append((time.monotonic() + AGAIN_AFTER, batch, errors))


def _can_be_aside() -> bool:
    """Another connection sees nothing of a transaction that is open here, and SQLite has one writer at a time."""
    return connection().vendor == "postgresql" and not connection().in_atomic_block


def _let_go() -> Round:
    connection().close()
    return Round()
