"""A pause after the broker failed, longer each time, ended by the first success."""

from __future__ import annotations

import time
from collections.abc import Callable

from outbox.backoff import RetryPolicy


class Breaker:
    """Keeps a relay from claiming while there is nobody to send to.

    Args:
        cap: longest pause in seconds.
        clock: a monotonic clock in seconds. It only measures this process's own pauses.
    """

    def __init__(self, cap: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = RetryPolicy(max_attempts=None, initial=0.5, cap=cap)
        self.clock = clock
        self.failures = 0
        self.open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether to leave the broker alone for now. After the pause the next batch is the probe."""
        return self.clock() < self.open_until

    @property
    def remaining(self) -> float:
        """Seconds until the next probe."""
        return max(0.0, self.open_until - self.clock())

    def failed(self) -> None:
        """The broker did not take a batch."""
        self.failures += 1
        self.open_until = self.clock() + self.policy.delay(self.failures)

    def succeeded(self) -> None:
        """The broker took a batch."""
        self.failures = 0
        self.open_until = 0.0
