"""Ordinary Celery code gives the same results on durable tasks as on plain ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from celery import chain, chord, group
from django_celery_results.models import ChordCounter, GroupResult, TaskResult

from outbox.models import Message
from outbox.relay.engine import Relay
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox.drop_in import work
from tests.integration.outbox.drop_in.applications import durable, plain
from tests.integration.outbox.drop_in.conftest import Tasks, told, unnamed

CALLS: dict[str, Callable[[Any], Any]] = {
    "a call": lambda t: t.add.delay(1, 2),
    "types beyond JSON": lambda t: t.types.delay(
        datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), UUID(int=7), Decimal("1.10"), None, "ü☃", 1.5
    ),
    "what it sees of its call": lambda t: t.properties.apply_async(
        headers={"tenant": "t1"}, time_limit=9, soft_time_limit=8, shadow="other", priority=3
    ),
    "a queue": lambda t: t.properties.apply_async(queue=t.app.main, priority=0, argsrepr="(hidden)"),
    "an eta that has passed": lambda t: t.add.apply_async((1,), eta=datetime.now(UTC) - timedelta(hours=1)),
    "an eta": lambda t: t.add.apply_async((1,), eta=datetime.now(UTC) + timedelta(seconds=0.5)),
    "a countdown": lambda t: t.add.apply_async((1,), countdown=0.3),
    "an expiry ahead": lambda t: t.add.apply_async((1,), expires=300),
    "own task id": lambda t: t.add.apply_async((1,), task_id=f"report-{t.app.main}"),
    "by name": lambda t: t.app.send_task("work.add", (1, 2), priority=4),
    "a state of its own": lambda t: t.meta.delay(),
    "a chain": lambda t: chain(t.add.s(1, 2), t.add.s(3), t.mul.s(10)).apply_async(),
    "a pipe": lambda t: (t.add.s(4, 4) | t.mul.s(8)).apply_async(),
    "ids along a chain": lambda t: chain(t.ids.si(1), t.collect_ids.s(2), t.collect_ids.s(3)).apply_async(),
    "an immutable signature": lambda t: chain(t.add.s(1, 2), t.identity.si("fresh")).apply_async(),
    "a group": lambda t: group(t.add.s(i, i) for i in range(5)).apply_async(),
    "a group of chains": lambda t: group(
        t.add.s(1, 1) | t.mul.s(3), t.add.s(2, 2) | t.mul.s(3)
    ).apply_async(),
    "a group in a chain": lambda t: chain(t.add.s(1, 1), group(t.mul.s(2), t.mul.s(3))).apply_async(),
    "starmap": lambda t: t.add.starmap([(1, 2), (3, 4)]).apply_async(),
    "map": lambda t: t.xsum.map([[1, 2], [3, 4]]).apply_async(),
    "chunks": lambda t: t.add.chunks([(i, i) for i in range(7)], 3).apply_async(),
    "a chord": lambda t: chord((t.add.s(i, i) for i in range(4)), t.xsum.s()).apply_async(),
    "ids in a chord": lambda t: chord([t.ids.si(1)], t.collect_ids.s(2)).apply_async(),
    "a chord in a chain": lambda t: chain(
        t.add.s(1, 1), group(t.add.s(1), t.add.s(2)), t.xsum.s(), t.mul.s(2)
    ).apply_async(),
    "nested chords": lambda t: chord(
        [chord([t.add.s(1, 1), t.add.s(2, 2)], t.xsum.s()), t.add.s(3, 3)], t.xsum.s()
    ).apply_async(),
    "a chord with a chain for a body": lambda t: chord(
        [t.add.s(1, 1), t.add.s(2, 2)], t.xsum.s() | t.mul.s(2)
    ).apply_async(),
    "a chord with one task": lambda t: chord([t.add.s(1, 1)], t.delayed_sum.s()).apply_async(),
    "a chord without a header": lambda t: chord([], t.xsum.s()).apply_async(),
    "a chord whose header fails": lambda t: chord([t.add.s(1, 1), t.fail.s("x")], t.xsum.s()).apply_async(),
    "a chord with retries": lambda t: chord([t.retry_once.s(1), t.flaky.s(1)], t.xsum.s()).apply_async(),
    "stamps": lambda t: _stamped(t.properties.si(), customer="c1").apply_async(),
    "stamps along a chain": lambda t: _stamped(t.add.s(1, 1) | t.properties.si(), batch="b").apply_async(),
    "retry": lambda t: t.retry_once.delay(7),
    "retry with other arguments": lambda t: t.retry_with.apply_async((1,), priority=2),
    "retry with an error": lambda t: t.retry_and_fail.delay(),
    "retry, and catch the last": lambda t: t.catch_the_last.delay(),
    "autoretry": lambda t: t.flaky.delay(2),
    "autoretry too often": lambda t: t.flaky.delay(9),
    "retry in a chain": lambda t: chain(t.retry_once.s(1), t.identity.s()).apply_async(),
    "replace": lambda t: t.add_replaced.delay(1, 2),
    "replace in a chain": lambda t: chain(t.add_replaced.s(1, 2), t.mul.s(10)).apply_async(),
    "replace by a chain": lambda t: t.replace_with_chain.delay(4),
    "replace by a chain in a chain": lambda t: chain(t.replace_with_chain.s(4), t.add.s(1)).apply_async(),
    "replace by a group": lambda t: t.replace_with_group.delay(1),
    "replace by a chord": lambda t: t.replace_with_chord.delay(1),
    "replace in a chord": lambda t: chord([t.add_replaced.s(1, 2), t.add.s(1, 1)], t.xsum.s()).apply_async(),
    "replace by a failure": lambda t: t.fail_replaced.delay(),
    "a failure": lambda t: t.fail.delay("why"),
    "a failure in a chain": lambda t: chain(t.fail.si("why"), t.add.s(1)).apply_async(),
    "add_to_chord": lambda t: chord([t.add_to_chord.s(1)], t.xsum.s()).apply_async(),
    "a soft time limit": lambda t: t.soft_limit.delay(),
    "a hard time limit": lambda t: t.hard_limit.delay(),
    "a result that cannot be encoded": lambda t: t.unencodable.delay(),
    "wrong arguments in a chain": lambda t: chain(t.add.s(1, 1), t.replaced_with_me.s()).apply_async(),
}
NOTED: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "a link": (1, lambda t: t.add.apply_async((1, 2), link=t.note.s())),
    "links": (2, lambda t: t.add.apply_async((1, 2), link=[t.note.s(), t.note.si("x")])),
    "links in a chord's header": (
        1,
        lambda t: chord([t.add.s(1, 1).set(link=t.note.s()), t.add.s(2, 2)], t.xsum.s()).apply_async(),
    ),
    "a chain made in a task": (1, lambda t: t.build_chain.delay()),
    "retry too often": (3, lambda t: t.retry_for_ever.delay()),
    "replace of a replacement": (4, lambda t: t.second_order_1.delay()),
    "an old errback": (1, lambda t: t.fail.apply_async(link_error=t.errback_old.s())),
    "a new errback": (1, lambda t: t.fail.apply_async(("e",), link_error=t.errback_new.s())),
    "errbacks of a chain": (
        1,
        lambda t: chain(t.add.s(1, 1), t.fail.s()).apply_async(link_error=t.errback_old.s()),
    ),
    "errback of a chord's body": (
        1,
        lambda t: chord([t.fail.s("x")], t.xsum.s().on_error(t.errback_new.s())).apply_async(),
    ),
}
"""Calls whose tasks leave notes: how many, and the call."""


@pytest.fixture(scope="module")
def outcomes(workers: Platform, django_db_blocker: Any) -> Iterator[dict[str, list[Any]]]:
    """Of all ``CALLS``: they run at the same time."""
    with django_db_blocker.unblock():
        results = {name: [call(Tasks(app)) for app in (plain, durable)] for name, call in CALLS.items()}
        relay = Relay()

        def unready() -> list[str]:
            relay.turn()
            return [name for name, pair in results.items() if not all(result.ready() for result in pair)]

        wait_until(lambda: not unready(), "all outcomes", timeout=60)
        relay.close()
        yield {name: [told(result) for result in pair] for name, pair in results.items()}
        for model in (Message, TaskResult, GroupResult, ChordCounter):
            model.objects.all().delete()


@pytest.mark.parametrize("name", CALLS)
def test_durable_is_as_plain(outcomes: dict[str, list[Any]], name: str) -> None:
    """Same state, same result, same relations of ids, as far as a caller and the tasks can see."""
    ours, theirs = outcomes[name][1], outcomes[name][0]
    assert _comparable(ours) == _comparable(theirs)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", NOTED)
def test_what_follows_is_as_plain(settle: Callable[..., Any], name: str) -> None:
    """Links, errbacks and further runs: the same ones, the same number of times."""
    notes, call = NOTED[name]
    told_by: list[Any] = []
    for app in (plain, durable):
        work.forget(app)
        result = call(Tasks(app))
        wait_until(lambda app=app: app is durable or len(work.seen(app)) >= notes, "the notes of plain tasks")
        outcome = settle(result, notes if app is durable else 0)
        told_by.append((_comparable(outcome), sorted(unnamed(text) for text in work.seen(app))))
    assert told_by[1] == told_by[0]


def _comparable(outcome: Any) -> str:
    """Names of queues apart; and where no priority is given, rows have the middle one, and plain messages the first."""
    return str(outcome).replace("durable", "plain").replace('"priority": 5', '"priority": 0')


def _stamped(signature: Any, **stamps: str) -> Any:
    signature.stamp(**stamps)
    return signature
