"""SQLite, MariaDB and MySQL, by Django's ORM: each write is a short transaction of conditional updates.

Rows are locked with ``SKIP LOCKED`` where the database has it. SQLite has no row locks and one writer at a time: set
``"transaction_mode": "IMMEDIATE"`` for it, so that a transaction which will write waits at its begin.

Not guaranteed here, for want of partial unique indexes on MariaDB and MySQL: that two of a key are never on their way
when a message commits later than one that was published after it.
"""

from __future__ import annotations

from outbox.store.portable.claiming import Claiming
from outbox.store.portable.consuming import Consuming
from outbox.store.portable.rescuing import Rescuing


class Portable(Claiming, Rescuing, Consuming):
    """The store of every database but PostgreSQL."""
