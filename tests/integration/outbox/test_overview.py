"""The figures: what they count, and that they stay cheap."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from outbox import claims, consumption, controls, overview, redrive
from outbox.claims import Failure
from outbox.models import Message
from outbox.overview import tallies


def counted() -> dict[tuple[str, str], int]:
    return {(tally.type, tally.state): tally.count for tally in tallies()}


@pytest.fixture
def one_of_each(messages):
    """A message in every state."""
    due, failed, discarded, sent, consumed = messages(5)
    claim = claims.claim(10)
    claims.settle_failed(claim, [Failure(failed, "boom", None), Failure(discarded, "boom", None)], "r1")
    claims.settle_sent(claim, [sent, consumed])
    consumption.consume(consumed, 1)
    redrive.discard([discarded], "why")
    claims.release(claim, [due])
    messages(1, next_attempt_at=Now() + timedelta(hours=1))
    pause = controls.pause("type", "sample.add", "why", by="ada")
    messages(1, waits_for=pause.pk)
    (processing,) = messages(1, priority=0)
    claims.claim(1, "relay-7")
    return {"due": due, "failed": failed, "sent": sent, "processing": processing}


def test_every_state_is_counted_by_type(one_of_each, messages) -> None:
    """Once, and exactly as long as there are few."""
    messages(2, type="sample.other")
    states = ("due", "later", "waiting", "processing", "sent", "failed", "discarded", "consumed")
    assert counted() == {("sample.add", state): 1 for state in states} | {("sample.other", "due"): 2}
    assert all(tally.exact for tally in tallies())


def test_above_the_cap_a_count_is_an_estimate_and_says_so(messages, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the planner's statistics, shared out as among those that were counted."""
    monkeypatch.setattr(overview, "CAP", 100)
    messages(1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE outbox_message")
    (tally,) = tallies()
    assert not tally.exact
    assert 800 <= tally.count <= 1200


def test_lag_is_the_age_of_what_is_due_for_longest(messages) -> None:
    """Whatever its priority; 0 when nothing is due."""
    assert overview.lag() == 0
    messages(1, priority=9, next_attempt_at=Now() - timedelta(seconds=90))
    messages(1, priority=0, next_attempt_at=Now() - timedelta(seconds=10))
    assert 90 <= overview.lag() < 100


def test_rates_are_those_of_the_last_minute(messages) -> None:
    """What was published, what was consumed, and what failed."""
    ids = messages(60)
    claim = claims.claim(100)
    claims.settle_failed(claim, [Failure(id_, "no", None) for id_ in ids[:30]], "r1")
    for id_ in ids[30:]:
        consumption.consume(id_, 1)
    found = overview.rates()
    assert (found.published, found.consumed, found.failed_attempts) == (1.0, 0.5, 0.5)
    Message.objects.filter(id__in=ids[30:45]).update(consumed_at=Now() - timedelta(seconds=61))
    assert overview.rates().consumed == 0.25


def test_a_rate_above_the_cap_is_that_of_the_latest(messages, monkeypatch: pytest.MonkeyPatch) -> None:
    """More in a minute than is counted: the last so many, over the time that they took."""
    monkeypatch.setattr(overview, "RATE_CAP", 10)
    messages(40, occurred_at=Now() - timedelta(seconds=5))
    assert 1.5 < overview.rates().published <= 2.0


def test_the_oldest_of_each_state_are_named(one_of_each) -> None:
    """With their age, and with the error of those that failed."""
    found = {row.state: row for row in overview.oldest()}
    assert {state: row.id for state, row in found.items()} == one_of_each
    assert found["failed"].last_error == "boom"
    assert found["processing"].seconds < 0  # its lease still runs


def test_who_holds_leases_is_named(one_of_each) -> None:
    """A relay with what it sends; not what waits for a worker."""
    (holder,) = overview.holders()
    assert (holder.name, holder.count, holder.exact) == ("relay-7", 1, True)
    assert 0 < holder.lease_seconds <= 30


def test_pauses_and_limits_are_told_with_what_they_hold_back(one_of_each) -> None:
    """Who, why, and how many."""
    (pause,) = overview.pauses()
    assert (pause.scope, pause.value, pause.by, pause.waiting) == ("type", "sample.add", "ada", 1)
    controls.set_limit("sample.add", 2, "slowly", burst=1)
    from outbox.relay.gate import take_tokens

    take_tokens("sample.add", [False] * 21)
    (limit,) = overview.limits()
    assert (limit.type, limit.burst, limit.line) == ("sample.add", 1, 20)
    assert 9 < limit.line_seconds <= 10


def test_no_figure_reads_the_whole_table(one_of_each, messages) -> None:
    """With a long history the unfinished ones are found by their own indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_message (id, type, consumer, status, sent_at, consumed_at, occurred_at) "
            "SELECT uuidv7(interval '-9 days'), 'sample.old', 'sample.old', 'sent', now(), now() - n * interval '1 s', "
            "now() - interval '9 days' FROM generate_series(1, 20000) n"
        )
        cursor.execute("VACUUM ANALYZE outbox_message")
        with CaptureQueriesContext(connection) as queries:
            overview.overview()
        plans = []
        for query in queries:
            if "outbox_message" in query["sql"] and not query["sql"].startswith("EXPLAIN"):
                cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
                plans.append(json.dumps(cursor.fetchone()[0]))
    assert len(plans) > 15
    assert not [plan for plan in plans if '"Seq Scan"' in plan and '"outbox_message"' in plan]


def test_a_type_that_looks_like_sql_is_only_a_name(messages) -> None:
    """Values are parameters."""
    name = f"x'; DROP TABLE outbox_message; -- %s {uuid4()}"
    messages(1, type=name)
    assert counted() == {(name, "due"): 1}
