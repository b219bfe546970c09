"""``bloat``: what a snapshot held open for minutes does to the relay and to its table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg
from psycopg import Connection

from tests.bench import templates
from tests.bench.draining import Drain, OurRelay, drain_with
from tests.bench.lab import Lab
from tests.bench.result import Goal, Result, tidy
from tests.bench.sizes import Sizes
from tests.harness.processes import Process
from tests.harness.waiting import wait_until

NORMAL, HELD = "normal", "with an old snapshot"
CONSUME = """
UPDATE outbox_message SET consumed_at = now(), lock_id = NULL, locked_until = NULL
WHERE status = 'sent' AND consumed_at IS NULL
"""


def run(lab: Lab, sizes: Sizes) -> Result:
    """Drain again and again: as usual, then while a session holds a snapshot, then as usual again.

    After each drain all rows are consumed and deleted, as workers and retention do; so a table that
    stays large is bloat.
    """
    templates.prepare(lab)
    lab.empty()
    relay = OurRelay(lab)
    with lab.database() as connection:
        process = relay.start()
        usual = _drains(relay, process, connection, sizes, sizes.seconds / 4, NORMAL)
        sizes_normal = _sizes(connection)
        with _snapshot(lab):
            held = _drains(relay, process, connection, sizes, sizes.seconds, HELD)
            sizes_held = _sizes(connection)
        connection.execute("VACUUM outbox_message")
        sizes_after = _sizes(connection)
        usual += _drains(relay, process, connection, sizes, sizes.seconds / 4, NORMAL)
        sizes_later = _sizes(connection)
    lab.end(process)
    lab.empty()
    found = {"normal": sizes_normal, "held": sizes_held, "after_vacuum": sizes_after, "later": sizes_later}
    return _result(sizes, usual, held, found)


def _result(
    sizes: Sizes, usual: Sequence[Drain], held: Sequence[Drain], found: dict[str, dict[str, int]]
) -> Result:
    pairs = min(len(usual), len(held))
    normal = median(one.rate for one in usual)
    last = median(one.rate for one in held[-max(1, len(held) // 3) :])
    messages = sizes.messages * len(held)
    grown = found["held"]["table"] + found["held"]["indexes"]
    result = Result(
        "bloat",
        "messages/s",
        {HELD: [one.rate for one in held][:pairs], NORMAL: [one.rate for one in usual][:pairs]},
        {"ours": HELD, "other": NORMAL},
        cpu={HELD: _cpu(held), NORMAL: _cpu(usual)},
        figures={
            "seconds_held": sizes.seconds,
            "drains_held": len(held),
            "ratio_of_the_last_third": tidy(last / normal),
            "bytes": found,
            "bytes_per_message_while_held": round(grown / messages),
        },
        notes=[
            "After each drain all rows are consumed and deleted, so what remains is dead rows.",
            "While a snapshot is held nothing can be reclaimed: the table grows by the bytes per message above. "
            "Once it is released, vacuum makes that space free for use again; the file keeps its size "
            "(vacuum_truncate is off, because giving pages back locks the table).",
        ],
    )
    share = median(one.rate for one in held) / normal
    result.goals = [
        Goal("share of the normal rate", share, 0.8),
        Goal(
            "bytes after further drains / while held",
            _total(found["later"]) / max(1, grown),
            1.02,
            at_most=True,
        ),
    ]
    return result


def _drains(
    relay: OurRelay, process: Process, connection: Connection[Any], sizes: Sizes, seconds: float, what: str
) -> list[Drain]:
    done: list[Drain] = []
    end = time.monotonic() + seconds
    while not done or time.monotonic() < end:
        relay.lab.say(f"{what}: drain {len(done) + 1}, {max(0, end - time.monotonic()):.0f} s to go")
        done.append(drain_with(relay, [process], connection, sizes.messages))
        connection.execute(CONSUME)
        connection.execute("DELETE FROM outbox_message")
    return done


@contextmanager
def _snapshot(lab: Lab) -> Iterator[None]:
    """Another session's transaction that has read something and then stays open."""
    with psycopg.connect(lab.servers.database_url) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        session.execute("SELECT count(*) FROM outbox_message")
        yield
        session.rollback()
    with lab.database() as connection:
        wait_until(
            lambda: (
                connection.execute(
                    "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_xmin IS NOT NULL"
                    " AND pid <> pg_backend_pid() AND state = 'idle in transaction')"
                ).fetchone()
                == (True,)
            ),
            "the snapshot to be released",
        )


def _sizes(connection: Connection[Any]) -> dict[str, int]:
    row = connection.execute(
        "SELECT pg_table_size('outbox_message'), pg_indexes_size('outbox_message')"
    ).fetchone()
    return dict(zip(("table", "indexes"), row or (0, 0), strict=True))


def _total(found: dict[str, int]) -> int:
    return found["table"] + found["indexes"]


def _cpu(drains: Sequence[Drain]) -> dict[str, float]:
    return {tree: median(one.cpu_us[tree] for one in drains) for tree in drains[0].cpu}
