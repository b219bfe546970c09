"""Retry policies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.backoff import FOREVER, RetryPolicy


def test_waits_double_up_to_the_cap() -> None:
    """1 s, 2 s, 4 s … and never more than the cap."""
    policy = RetryPolicy(initial=1, factor=2, cap=10, jitter=0)
    assert [policy.delay(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@given(attempt=st.integers(1, 1_000_000), jitter=st.floats(0, 1))
def test_any_attempt_has_a_wait_within_bounds(attempt: int, jitter: float) -> None:
    """Attempt 2,000 and beyond overflow nothing, and jitter does not lift a wait above the cap."""
    assert 0 <= RetryPolicy(cap=300, jitter=jitter).delay(attempt) <= 300


def test_jitter_spreads_rows_that_failed_together() -> None:
    """Two rows that failed at the same attempt do not come back at the same moment."""
    policy = RetryPolicy(initial=10, cap=100, jitter=0.2)
    waits = {policy.delay(1) for _ in range(50)}
    assert len(waits) > 40
    assert all(8 <= wait <= 12 for wait in waits)


@pytest.mark.parametrize(("attempt", "over"), [(1, False), (2, False), (3, True), (4, True)])
def test_the_last_attempt_is_the_last(attempt: int, over: bool) -> None:
    """A policy of three attempts is exhausted by the third."""
    assert RetryPolicy(max_attempts=3).exhausted(attempt) is over


def test_forever_has_no_last_attempt() -> None:
    """A policy without a maximum is never exhausted."""
    assert not FOREVER.exhausted(10**9)
