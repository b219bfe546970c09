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
from contextlib import suppress
from copy import copy

from outbox.conf import conf
from outbox.database import DATABASE_AWAY, connection
from outbox.relay.batch import Batch, Round
from outbox.relay.sender import Sender
from outbox.transports.base import Errors
from outbox.wording import describe

logger = logging.getLogger(__name__)

AGAIN_AFTER = 0.2
"""Seconds until what was left is settled again. A claim is over by then, and most of the quick consumers are, too."""

ALONE = 60.0
"""Seconds without the second connection after it has failed."""


class Settling:
    """Settles the batches of one relay, in order: in the background, on a connection of its own, as long as more
    follows; else here. So whoever finds little to do needs neither thread nor second connection.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._alone_until = 0.0
        self._thread: Sender[Round] | None = None
        self._under_way: tuple[Batch, Batch, Errors, Future[Round]] | None = None
        self._left: deque[tuple[float, Batch, Errors]] = deque()

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being settled in the background: its rows are locked."""
        return self._under_way is not None

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
        try:
            done = self.wait()
        except Exception:
            with suppress(*DATABASE_AWAY):
                self._settle(batch, errors)  # it is in nobody else's hands
            raise
        if not more or time.monotonic() < self._alone_until or not _can_be_aside():
            return done + self._settle(batch, errors)
        self._thread = self._thread or Sender(f"{self._name} settles")
        aside = copy(batch)  # a thread that is left behind goes on with its own
        self._under_way = (batch, aside, errors, self._thread.submit(lambda: aside.settle(errors)))
        return done

    def finish(self) -> Round:
        """Wait for what is under way, and let go of the thread and its connection."""
        try:
            return self.wait()
        finally:
            self._leave_thread()

    def settle_left(self) -> Round:
        """Settle again what was left a moment ago: once, for whoever holds it longer is a consumer."""
        done = Round()
        while self._left and not self.patience:
            _, batch, errors = self._left.popleft()
            done += batch.settle(errors)
        return done

    def settle_all_left(self) -> Round:
        """The same, and wait for it: ``AGAIN_AFTER`` seconds at most."""
        if self._left:
            time.sleep(max(0.0, self._left[-1][0] - time.monotonic()))
        return self.settle_left()

    def wait(self) -> Round:
        """Wait for what is under way. When its connection fails, or takes long to be made, it is settled on ours, and
        so is all that follows for a while: settling twice is once, and a lease that is over is worse than no overlap.
        """
        if self._under_way is None:
            return Round()
        (batch, aside, errors, outcome), self._under_way = self._under_way, None
        try:
            done = outcome.result(conf().LEASE / 6)
        except (TimeoutError, *DATABASE_AWAY) as error:
            logger.warning("Settling on the relay's own connection: %s", describe(error))
            self._alone_until = time.monotonic() + ALONE
            self._leave_thread()
            return self._settle(batch, errors)
        self._note(aside, errors)
        return done

    def _leave_thread(self) -> None:
        if self._thread:
            self._thread.submit(_let_go)
            self._thread.close()
            self._thread = None

    def _settle(self, batch: Batch, errors: Errors) -> Round:
        done = batch.settle(errors)
        self._note(batch, errors)
        return done

    def _note(self, batch: Batch, errors: Errors) -> None:
        if batch.left:
            self._left.append((time.monotonic() + AGAIN_AFTER, batch, errors))


def _can_be_aside() -> bool:
    """Another connection sees nothing of a transaction that is open here, and SQLite has one writer at a time."""
    return connection().vendor == "postgresql" and not connection().in_atomic_block


def _let_go() -> Round:
    connection().close()
    return Round()
