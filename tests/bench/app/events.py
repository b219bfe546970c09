"""The event that is published, and its subscriber."""

from __future__ import annotations

from dataclasses import dataclass

from outbox.api import event, subscribe


@event("bench.booked")
@dataclass(frozen=True)
class Booked:
    """A booking was made."""

    booking_id: int
    customer: str
    note: str


@subscribe(Booked, name="bench.on_booked", queue="bench")
def on_booked(event: Booked) -> None:
    """Nothing: the benchmarks measure the way here."""
