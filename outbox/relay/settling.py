"""Write down what became of one batch while the next ones are claimed and sent."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from types import TracebackType

from outbox.database import DATABASE_AWAY, connection
from outbox.relay.batch import Batch, Round
from outbox.relay.sender import Sender
from outbox.transports.base import Errors
from outbox.wording import describe

logger = logging.getLogger(__name__)


class Settling:
    """Settles the batches of one drain, in order: in the background, on a connection of its own, as long as more
    follows; else here. So whoever finds little to do needs neither thread nor second connection.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: Sender[Round] | None = None
        self._under_way: tuple[Batch, Errors, Future[Round]] | None = None

    def __enter__(self) -> Settling:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            self._thread.submit(_let_go)
            self._thread.close()

    def settle(self, batch: Batch, errors: Errors, *, more: bool) -> Round:
        """Settle a batch, after the one before. Returns what is settled by now and was not told yet.

        Args:
            batch: it has been sent.
            errors: of those of its messages that could not be sent.
            more: whether there is other work meanwhile.
        """
        done = self.finish()
        if not (more and _can_be_aside()):
            return done + batch.settle(errors)
        self._thread = self._thread or Sender(f"{self._name} settles")
        self._under_way = (batch, errors, self._thread.submit(lambda: batch.settle(errors)))
        return done

    def finish(self) -> Round:
        """Wait for what is under way. Where its connection failed, it is settled on ours: settling twice is once."""
        if self._under_way is None:
            return Round()
        (batch, errors, outcome), self._under_way = self._under_way, None
        try:
            return outcome.result()
        except DATABASE_AWAY as error:
            logger.warning("Settling again on another connection: %s", describe(error))
            if self._thread:
                self._thread.submit(_let_go)
            return batch.settle(errors)


def _can_be_aside() -> bool:
    """Another connection sees nothing of a transaction that is open here, and SQLite has one writer at a time."""
    return connection().vendor == "postgresql" and not connection().in_atomic_block


def _let_go() -> Round:
    connection().close()
    return Round()
