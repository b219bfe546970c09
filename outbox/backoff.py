"""When to try again, and when to stop."""

from __future__ import annotations

import random
from dataclasses import dataclass

from outbox.conf import conf


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


FOREVER = RetryPolicy(max_attempts=None)
"""For messages whose end is decided elsewhere, as a saga decides its steps'."""
