"""Await a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], T], what: str, *, timeout: float = 30.0) -> T:
    """The condition's first true value.

    Raises:
        AssertionError: it did not become true within ``timeout`` seconds; says what was awaited.
    """
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"Waited {timeout} s in vain for: {what}")
        time.sleep(POLL_SECONDS)
