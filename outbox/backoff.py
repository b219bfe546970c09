"""When to try again, and when to stop."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass

from outbox.conf import conf
from outbox.wording import describe

logger = logging.getLogger(__name__)

LONGEST_WAIT = 10 * 365 * 24 * 3600.0
"""Seconds: more is a mistake."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter and a cap.

    Args:
        max_attempts: attempts in all, the first one included; ``None`` for no end.
        initial: seconds before the second attempt.
        factor: by how much each wait is longer than the one before.
        cap: longest wait in seconds, jitter included.
        jitter: share of the wait by which it varies at random, so that rows that failed together
            do not come back together.
    """

    max_attempts: int | None = 8
    initial: float = 1.0
    factor: float = 2.0
    cap: float = 300.0
    jitter: float = 0.2

    def delay(self, attempt: int) -> float:
        """Seconds to wait after attempt number ``attempt`` (from 1) failed. Any attempt number is safe."""
        try:
            wait = self.initial * self.factor ** (attempt - 1)
        except OverflowError:
            wait = self.cap
        spread = 1 + random.uniform(-self.jitter, self.jitter)  # noqa: S311  (no secret depends on it)
        return max(0.0, min(wait * spread, self.cap))

    def exhausted(self, attempt: int) -> bool:
        """Whether attempt number ``attempt`` was the last one."""
        return self.max_attempts is not None and attempt >= self.max_attempts


def default_policy() -> RetryPolicy:
    """The policy of messages whose consumer sets none: from ``settings.OUTBOX``."""
    options = conf()
    return RetryPolicy(options.MAX_ATTEMPTS, initial=options.BACKOFF_INITIAL, cap=options.BACKOFF_CAP)


def next_delay(policy: RetryPolicy, attempt: int) -> tuple[float | None, str]:
    """Seconds from attempt number ``attempt``, which failed, to the next one; ``None`` when it was the last.

    A policy is anybody's code: one that raises, or answers with no number of seconds that can be waited, ends the
    message. The second value says so, to be kept with the error; else it is empty.
    """
    try:
        if policy.exhausted(attempt):
            return None, ""
        seconds = float(policy.delay(attempt))
    except Exception as broken:
        logger.exception("A retry policy is broken: %r", policy)
        return None, f" (and its retry policy raised {describe(broken)})"
    if 0 <= seconds <= LONGEST_WAIT:
        return seconds, ""
    return None, f" (and its retry policy answered {seconds} s, which nobody can wait)"


FOREVER = RetryPolicy(max_attempts=None)
"""For messages whose end is decided elsewhere, as a saga decides its steps'."""
