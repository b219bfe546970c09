"""How PostgreSQL keeps the outbox: what its tables need, what they have, and who keeps vacuum from cleaning them.

A queue in a table lives on vacuum. Every message is written four times (published, claimed, sent, consumed), and three
of the four versions are dead within seconds. On other databases all of this answers with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from outbox.database import connection, fetch
from outbox.models import Attempt, Message
from outbox.store.postgresql.storing import HORIZON, INDEXES, OPTIONS, TABLES

HORIZON_SECONDS = 300.0
"""From which age on a snapshot is worth a person's attention: far above what any transaction of ours takes."""
HORIZON_TRANSACTIONS = 1_000_000
"""The same for what has no age in seconds: replication slots and standbys."""

WANTED: dict[str, dict[str, str]] = {
    Message._meta.db_table: {
        # Every update changes a column that an index or its condition names, so none is "heap only"; still, a version
        # that finds room on its own page dirties no other one. Measured over 120,000 messages of 550 bytes, vacuumed
        # every 20,000 dead rows: with 100 all updates went to another page (333 MB of WAL, 66 MB of table), with 70
        # one in five (217 MB, 81 MB), with 50 one in thirty (189 MB, 117 MB). And a page cleans itself when it is
        # written to: without any vacuum the table grew to 218 MB with 100, to 118 MB with 50.
        "fillfactor": "70",
        # By count, not by share: with five million consumed rows in the table, the usual fifth would be a million dead
        # ones, which every claim passes on its way through the index of due rows.
        "autovacuum_vacuum_scale_factor": "0.0",
        "autovacuum_vacuum_threshold": "20000",
        "autovacuum_vacuum_insert_scale_factor": "0.05",
        # The planner has to know how few rows are unfinished, and that changes within minutes.
        "autovacuum_analyze_scale_factor": "0.01",
        "autovacuum_analyze_threshold": "5000",
        # Ten times the usual speed: this vacuum must keep up with the relay.
        "autovacuum_vacuum_cost_limit": "2000",
        # Giving empty pages at the end back to the system takes a lock that every claim would wait for; they are used
        # again.
        "vacuum_truncate": "false",
    },
    Attempt._meta.db_table: {
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.02",
    },
}


@dataclass(frozen=True)
class TableSize:
    """A table on disk. ``dead_rows`` wait for vacuum; many of them slow every claim."""

    name: str
    table_bytes: int
    index_bytes: int
    live_rows: int
    dead_rows: int
    vacuumed_at: datetime | None


@dataclass(frozen=True)
class HorizonHolder:
    """Who keeps old row versions alive: vacuum removes nothing that this one could still see.

    Args:
        kind: ``session``, ``prepared transaction``, ``replication slot`` or ``standby``.
        name: its process id, its transaction's name, or the slot's name.
        who: user, application and address, as far as this connection may see them.
        since: when its transaction began; a slot has no such time.
        seconds: for how long; ``None`` where there is no time.
        transactions: how many have begun since.
        state: such as ``idle in transaction``.
        query: the beginning of its statement, and when that began.
        query_since: when that began.
        remedy: what a person can do.
    """

    kind: str
    name: str
    who: str
    since: datetime | None
    seconds: float | None
    transactions: int
    state: str
    query: str
    query_since: datetime | None
    remedy: str

    def __str__(self) -> str:
        age = f"{self.transactions:,} transactions" if self.seconds is None else f"{self.seconds:,.0f} s"
        query = f", with: {self.query}" if self.query else ""
        whom = f"{self.kind.capitalize()} {self.name} ({self.who}, {self.state})"
        return f"{whom} has held back vacuum for {age}{query}"


def horizon_holders(seconds: float | None = None, transactions: int | None = None) -> list[HorizonHolder]:
    """Who holds back vacuum in this database, the oldest first.

    Args:
        seconds: the age from which on a transaction is named; by default :data:`HORIZON_SECONDS`.
        transactions: the age from which on something without a time is named; by default
            :data:`HORIZON_TRANSACTIONS`.

    Not guaranteed: a role without ``pg_read_all_stats`` does not see the sessions of others.
    """
    if connection().vendor != "postgresql":
        return []
    params = {
        "seconds": HORIZON_SECONDS if seconds is None else seconds,
        "transactions": HORIZON_TRANSACTIONS if transactions is None else transactions,
    }
    return [HorizonHolder(*row) for row in fetch(HORIZON, params)]


def tables() -> list[TableSize]:
    """The outbox's tables. Row counts are those of PostgreSQL's statistics."""
    if connection().vendor != "postgresql":
        return []
    return [TableSize(*row) for row in fetch(TABLES, [list(WANTED)])]


def missing_options() -> dict[str, dict[str, str]]:
    """Storage options that a table of ours does not have, by table. One that a person set otherwise is not missing."""
    if connection().vendor != "postgresql":
        return {}
    present = {name: {option.split("=")[0] for option in options} for name, options in _options()}
    lacking = {
        table: {name: value for name, value in WANTED[table].items() if name not in has}
        for table, has in present.items()
    }
    return {table: options for table, options in lacking.items() if options}


def missing_indexes() -> list[str]:
    """Indexes of the outbox's tables that do not exist, or that a failed ``CREATE INDEX`` has left invalid."""
    if connection().vendor != "postgresql":
        return []
    valid = dict(fetch(INDEXES, [list(WANTED)]))
    wanted = [index.name for model in (Message, Attempt) for index in model._meta.indexes]
    there = {table for table, _ in _options()}
    return [name for name in wanted if not valid.get(name, False)] if there else []


def set_options_sql(table: str, options: dict[str, str]) -> str:
    """The statement that gives a table its options."""
    settings = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"ALTER TABLE {table} SET ({settings})"


def _options() -> list[tuple[str, list[str]]]:
    """The tables that exist, with their options."""
    return [(name, options) for name, options in fetch(OPTIONS, [list(WANTED)])]
