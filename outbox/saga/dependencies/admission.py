"""What an attempt was allowed, and the report of how it ended.

Reports are statements of their own, outside of any transaction: no lock on a service's row is held while anything
waits. They are advice: one that is lost, because its worker died, is made up for by leases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from celery.exceptions import Ignore, SoftTimeLimitExceeded

from outbox.database import DATABASE_AWAY
from outbox.saga.dependencies import breaker, limits, waiting
from outbox.saga.dependencies.declaration import Dependency, Limit
from outbox.saga.models import SagaStep
from outbox.saga.turn import Turn
from outbox.wording import describe

logger = logging.getLogger(__name__)


class Admission:
    """An attempt may begin. This one depends on nothing: there is nothing to report."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The call happens in here."""
        yield

    def spare(self, t: Turn, row: SagaStep) -> None:
        """Take the try back where the attempt was not the step's own."""

    def extend(self, lease: float) -> None:
        """The attempt is still at work: what it holds is its own for ``lease`` more seconds."""


class GuardedAdmission(Admission):
    """An attempt may call its service, and reports what it meets there.

    Args:
        dependency: the service.
        bounds: the limits that it takes its slots of.
        after_failures: the service failed before: an answer is worth a write.
    """

    def __init__(
        self, dependency: Dependency, bounds: list[tuple[str, Limit]], *, after_failures: bool
    ) -> None:
        self.dependency = dependency
        self.bounds = bounds
        self.after_failures = after_failures
        self.token = uuid4()
        self.is_probe = False
        self.probe_failed = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The call happens in here: how it ends is reported, whatever it is."""
        try:
            yield
        except (Ignore, *DATABASE_AWAY):
            self._report(self._release)  # it says nothing of the service
            raise
        except Exception as error:
            told = describe(error)
            away = isinstance(error, (*self.dependency.away, SoftTimeLimitExceeded))
            self._report((lambda: self._failed(told)) if away else self._answered)
            raise
        self._report(self._answered)

    def spare(self, t: Turn, row: SagaStep) -> None:
        """A probe that failed was the breaker's try, not the step's: it is not counted."""
        if self.probe_failed and row.tries:
            t.change(row, tries=row.tries - 1)

    def extend(self, lease: float) -> None:
        """The attempt is still at work: what it holds is its own for ``lease`` more seconds."""
        self._report(lambda: limits.extend_slots(self.token, lease))

    def _answered(self) -> None:
        if self.is_probe and breaker.probe_answered(self.dependency, self.token):
            woken = waiting.wake_on_ramp(self.dependency)
            logger.warning("%s is back: %d steps go on, gently", self.dependency.name, woken)
        elif self.after_failures:
            breaker.answered(self.dependency)
        self._release()

    def _failed(self, error: str) -> None:
        if self.is_probe:
            self.probe_failed = True
            breaker.probe_failed(self.dependency, self.token, error)
        elif breaker.failed(self.dependency, error):
            logger.error("%s is away: its breaker is open. %s", self.dependency.name, error)
        self._release()

    def _release(self) -> None:
        if any(limit.concurrency for _, limit in self.bounds):
            limits.release_slots(self.token)
            waiting.wake_one(self.dependency)

    def _report(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except DATABASE_AWAY:
            logger.warning("What %s did was not reported", self.dependency.name, exc_info=True)
