"""The relay's pause after the broker failed."""

from __future__ import annotations

from outbox.relay.breaker import Breaker


class Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_on_failure_and_probes_after_the_pause() -> None:
    """A failure opens it for a while; after the pause one try is allowed."""
    clock = Clock()
    breaker = Breaker(30, clock)
    assert not breaker.is_open
    breaker.failed()
    assert breaker.is_open
    clock.now += breaker.remaining
    assert not breaker.is_open


def test_pauses_grow_to_the_cap_and_a_success_ends_them() -> None:
    """Each failed probe waits longer, never longer than the cap; the first success starts over."""
    clock = Clock()
    breaker = Breaker(5, clock)
    pauses = []
    for _ in range(10):
        breaker.failed()
        pauses.append(breaker.remaining)
        clock.now += breaker.remaining
    assert pauses[0] < pauses[2]
    assert max(pauses) <= 5 + 1e-9
    breaker.succeeded()
    breaker.failed()
    assert breaker.remaining < 1
