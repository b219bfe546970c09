"""What ails delivery and storage, in sentences: for ``manage.py outbox health`` and ``GET /healthz/details``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from outbox import overview, storage

DEAD_ROWS = 10 * int(storage.WANTED["outbox_message"]["autovacuum_vacuum_threshold"])
"""So many dead rows mean that vacuum does not keep up, or cannot."""

LATE = 60.0
"""Seconds for which a message may be due: relays need a moment, and pause after a failure of the broker."""


@dataclass(frozen=True)
class Finding:
    """Something that a person should see to.

    Args:
        name: of the kind of finding, for programs.
        message: what is the matter.
        remedy: what to do.
    """

    name: str
    message: str
    remedy: str


def findings() -> list[Finding]:
    """All that is the matter; empty when nothing is."""
    return [finding for look in LOOKS for finding in look()]


def delivery_late() -> Iterator[Finding]:
    """Nobody sends, or nobody can: no relay runs, or the broker is away."""
    seconds = overview.lag()
    if seconds > LATE:
        yield Finding(
            "delivery_late",
            f"A message has been due for {seconds:,.0f} s, and nothing has sent it.",
            "See whether a relay runs, and its log: it tells when the broker does not take what it sends.",
        )


def held_back() -> Iterator[Finding]:
    """Somebody keeps vacuum from removing dead rows: the queue grows, and slows down, until that ends."""
    for holder in storage.horizon_holders():
        yield Finding("vacuum_held_back", f"{holder}.", f"End it where it runs, or: {holder.remedy};")


def dead_rows() -> Iterator[Finding]:
    """Vacuum does not keep up."""
    for table in storage.tables():
        if table.dead_rows > DEAD_ROWS:
            last = f"{table.vacuumed_at:%Y-%m-%d %H:%M} UTC" if table.vacuumed_at else "never"
            yield Finding(
                "dead_rows",
                f"{table.name} has {table.dead_rows:,} dead rows; it was vacuumed last: {last}.",
                f"If nobody holds it back: VACUUM {table.name}; and give autovacuum more workers.",
            )


def options() -> Iterator[Finding]:
    """The tables lack what the migration gave them."""
    for table, missing in storage.missing_options().items():
        names = ", ".join(missing)
        yield Finding(
            "options_missing", f"{table} lacks {names}.", f"{storage.set_options_sql(table, missing)};"
        )


def indexes() -> Iterator[Finding]:
    """An index is gone, or was never finished."""
    for name in storage.missing_indexes():
        yield Finding("index_missing", f"The index {name} is missing or invalid.", "See manage.py check.")


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (delivery_late, held_back, dead_rows, options, indexes)
