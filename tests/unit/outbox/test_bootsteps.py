"""Events for Flower leave together, and one client serves a channel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

from outbox.bootsteps import PAUSE, KeptClient, Together


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


def test_a_channel_uses_one_client() -> None:
    """Until it has another pool, such as after it has lost its connections. A client that is given is used."""
    channel = SimpleNamespace(_pool=object())
    channel.conn_or_acquire = lambda: nullcontext(SimpleNamespace(connection_pool=channel._pool))
    acquire = KeptClient(channel)
    with acquire() as first, acquire() as second, acquire("given") as given:
        assert first is second
        assert given == "given"
    channel._pool = object()
    with acquire() as third:
        assert third is not first
        assert third.connection_pool is channel._pool
