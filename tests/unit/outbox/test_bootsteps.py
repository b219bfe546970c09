"""Events for Flower leave together."""

from __future__ import annotations

from collections.abc import Callable

from outbox.bootsteps import PAUSE, Together


def test_many_events_are_one_flush() -> None:
    """One is planned for all that come meanwhile; what comes after it plans the next."""
    planned: list[tuple[float, Callable[[], None]]] = []
    flushed: list[int] = []
    together = Together(lambda seconds, call: planned.append((seconds, call)), lambda: flushed.append(1))
    for _ in range(10):
        together()
    ((seconds, flush),) = planned
    assert (seconds, flushed) == (PAUSE, [])
    flush()
    assert flushed == [1]
    together()
    assert len(planned) == 2
