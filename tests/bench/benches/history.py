"""``history``: the same drains with millions of old Sent rows in the table, beside an empty one."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from psycopg import Connection

from tests.bench import templates
from tests.bench.benches.relay import cpu, rates, take_turns
from tests.bench.draining import ON_THEIR_WAY, OurRelay
from tests.bench.lab import Lab
from tests.bench.result import Goal, Result
from tests.bench.rows import copy_template
from tests.bench.sizes import Sizes

FULL, EMPTY = "with history", "empty table"
DATABASE = "history"
CHUNK = 250_000
OLD = {
    "status": "'sent'",
    "attempts": "1",
    "occurred_at": "now() - interval '30 days'",
    "next_attempt_at": "now() - interval '30 days'",
    "sent_at": "now() - interval '30 days'",
    "consumed_at": "now() - interval '30 days'",
}


class RelayWithHistory(OurRelay):
    """Ours, on a table whose old rows stay."""

    def clear(self, connection: Connection[Any]) -> None:
        """Take away what was drained: it is what nobody has consumed."""
        connection.execute(f"DELETE FROM outbox_message WHERE {ON_THEIR_WAY}")


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round: a drain from the full table, one from the empty table of another database on the same server."""
    templates.prepare(lab)
    url = _database_with_history(lab, sizes.history)
    contenders = {FULL: RelayWithHistory(lab, url=url), EMPTY: OurRelay(lab)}
    drains = take_turns(lab, contenders, sizes)
    with lab.database(url) as connection:
        size = connection.execute("SELECT pg_total_relation_size('outbox_message')").fetchone()
    _drop(lab)
    result = Result(
        "history",
        "messages/s",
        rates(drains),
        {"ours": FULL, "other": EMPTY},
        cpu=cpu(drains),
        figures={"messages": sizes.messages, "history_rows": sizes.history, "table_bytes": size and size[0]},
        notes=["`other` is the same relay on an empty table. Old rows are Sent and consumed, 30 days ago."],
    )
    result.goals = [Goal("share of the empty table's rate", result.ratio("other") or 0, 0.9)]
    return result


def _database_with_history(lab: Lab, count: int) -> str:
    """A copy of the migrated database, with old rows; returns its address."""
    _drop(lab)
    address = urlsplit(lab.servers.database_url)
    with lab.database(address._replace(path="/postgres").geturl()) as connection:
        name = address.path.lstrip("/")
        connection.execute(f'CREATE DATABASE {DATABASE} TEMPLATE "{name}"')
    url = address._replace(path=f"/{DATABASE}").geturl()
    with lab.database(url) as connection:
        connection.execute("SET synchronous_commit = off")
        start = time.monotonic()
        for done in range(0, count, CHUNK):
            lab.say(f"{done:,} of {count:,} old rows, {time.monotonic() - start:.0f} s")
            copy_template(connection, "outbox_message", templates.EVENT, min(CHUNK, count - done), **OLD)
        lab.say("vacuum and analyze")
        connection.execute("VACUUM (ANALYZE, FREEZE) outbox_message")
        connection.execute("CHECKPOINT")
    return url


def _drop(lab: Lab) -> None:
    with lab.database() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
