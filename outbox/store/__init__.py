"""Where the engine's rows are kept: one seam, one class for each kind of database."""

from __future__ import annotations

from functools import cache

from outbox.database import connection
from outbox.store.base import Store


def store() -> Store:
    """The store of the outbox's database."""
    return _store_for(connection().vendor)


@cache
def _store_for(vendor: str) -> Store:
    if vendor == "postgresql":
        from outbox.store.postgresql import PostgreSQL

        return PostgreSQL()
    from outbox.store.portable import Portable

    return Portable()
