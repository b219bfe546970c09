"""Pauses and rate limits: what operators say, and what relays make of it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import close_old_connections, connection
from django.db.models.functions import Now

from outbox import claims, controls, known
from outbox.exceptions import OperationRefused
from outbox.models import Message, Pause, RateLimit, Status
from outbox.relay.engine import Relay
from outbox.relay.gate import Gate, take_tokens
from outbox.relay.loop import Loop
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until

TYPE = "sample.add"


def look(limit: int = 1000) -> list[UUID]:
    """One look of a relay that has just been told: claims, asks, puts back what may not go. Returns what may."""
    claim = claims.claim(limit)
    admission = Gate().admit(claim.messages)
    claims.hold(claim, admission.held)
    claims.defer(claim, admission.deferred)
    claims.settle_sent(claim, [m.id for m in admission.admitted])
    return [m.id for m in admission.admitted]


def pass_time(seconds: float) -> None:
    """As if so much time had passed for everything that waits for a limit."""
    span = timedelta(seconds=seconds)
    for row in RateLimit.objects.all():
        row.refilled_at, row.last_slot_at = row.refilled_at - span, row.last_slot_at - span
        row.last_return_at -= span
        row.save()
    for message in Message.objects.filter(status=Status.PENDING):
        Message.objects.filter(pk=message.pk).update(
            occurred_at=message.occurred_at - span,
            next_attempt_at=message.next_attempt_at - span,
            put_off_until=message.put_off_until and message.put_off_until - span,
        )


@pytest.mark.parametrize(
    ("scope", "value", "columns"),
    [("type", TYPE, {}), ("key", "A", {"key": "A"}), ("queue", "slow", {"queue": "slow"})],
)
def test_what_is_paused_waits_and_costs_no_attempt(
    messages, scope: str, value: str, columns: dict[str, str]
) -> None:
    """It leaves the due rows, is Pending all the time, and is sent when the pause is over."""
    (id_,) = messages(1, **columns)
    pause = controls.pause(scope, value, "The provider is down", by="ada")
    assert look() == []
    row = Message.objects.get()
    assert (row.status, row.waits_for, row.attempts) == (Status.PENDING, pause.pk, 0)
    assert claims.claim(10).messages == []
    assert controls.resume(scope, value).freed == 1
    assert look() == [id_]


def test_a_pause_holds_nobody_else(messages) -> None:
    """Other types, queues and keys go on."""
    messages(1, key="A")
    others = messages(1, key="B") + messages(1, consumer="sample.first_subscriber")
    controls.pause("key", "A", "why")
    assert sorted(look()) == sorted(others)


def test_the_pause_of_a_queue_holds_what_goes_there_by_its_consumers_own_settings(messages) -> None:
    """A row that names no queue goes to its consumer's."""
    messages(1)
    (queue,) = {name for name, tasks in known.queues().items() if TYPE in tasks}
    elsewhere = messages(1, queue="elsewhere")
    controls.pause("queue", queue, "why")
    assert look() == elsewhere


def test_a_message_under_two_pauses_waits_for_both(messages) -> None:
    """The end of the one leaves it to the other."""
    (id_,) = messages(1, key="A")
    controls.pause("type", TYPE, "one")
    controls.pause("key", "A", "two")
    assert look() == []
    assert controls.resume("type", TYPE).freed == 1
    assert look() == []
    assert controls.resume("key", "A").freed == 1
    assert look() == [id_]


def test_many_messages_are_let_go_in_batches(messages, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one, too."""
    monkeypatch.setattr(controls, "BATCH", 3)
    messages(8)
    controls.pause("type", TYPE, "why")
    look()
    assert controls.resume("type", TYPE).freed == 8
    assert len(look()) == 8


def test_ending_a_pause_lets_go_some_and_leaves_the_rest_to_the_relays(
    messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request ends soon, however many waited; and it says how many are still to come."""
    monkeypatch.setattr(controls, "BATCH", 2)
    monkeypatch.setattr(controls, "AT_ONCE", 4)
    ids = messages(9)
    controls.pause("type", TYPE, "why")
    look()
    assert controls.resume("type", TYPE) == (4, 5)
    assert sorted(look()) == ids[:4]
    relay = Relay(MemoryTransport())
    relay.rescue()
    assert relay.drain().sent == 5


def test_a_relay_that_has_not_heard_of_the_end_holds_nothing(messages) -> None:
    """It remembers pauses for a second: what it would hold by then is sent at its next look."""
    (id_,) = messages(1)
    controls.pause("type", TYPE, "why")
    gate = Gate()
    gate.admit([])
    controls.resume("type", TYPE)
    claim = claims.claim(10)
    admission = gate.admit(claim.messages)
    assert admission.held
    claims.hold(claim, admission.held)
    assert look() == [id_]


def test_what_a_crash_left_waiting_for_a_pause_that_is_gone_is_let_go(messages) -> None:
    """The pause's row went, and whoever should have let its messages go died."""
    (id_,) = messages(1)
    controls.pause("type", TYPE, "why")
    look()
    Pause.objects.all().delete()
    assert look() == []
    claims.heal(10)
    assert look() == [id_]


def test_nothing_configured_costs_two_queries_a_second(messages, django_assert_num_queries) -> None:
    """And none per message, nor per batch."""
    claim = claims.claim(10)
    gate = Gate()
    with django_assert_num_queries(2):
        for _ in range(100):
            gate.admit(claim.messages)


def test_a_limit_lets_a_burst_pass_and_lines_up_the_others_in_order(messages) -> None:
    """Each is put off once, to its own slot; when that comes, it passes."""
    ids = messages(20)
    controls.set_limit(TYPE, 2, "The provider asked us to", burst=5)
    assert sorted(look()) == ids[:5]
    assert look() == []
    rows = list(Message.objects.filter(status=Status.PENDING).order_by("next_attempt_at"))
    assert [row.id for row in rows] == ids[5:]
    assert {row.attempts for row in rows} == {0}
    gaps = {round((b.next_attempt_at - a.next_attempt_at).total_seconds(), 2) for a, b in pairwise(rows)}
    assert gaps == {0.5}
    pass_time(1.05)
    assert sorted(look()) == ids[5:7]
    assert look() == []


def test_a_fresh_message_goes_to_the_end_of_the_line(messages) -> None:
    """First come, first served; and a line that is long is not rescanned."""
    controls.set_limit(TYPE, 1, "why", burst=1)
    first, second = messages(2)
    assert look() == [first]
    (third,) = messages(1)
    assert look() == []
    pass_time(1.01)
    assert look() == [second]
    pass_time(1.01)
    assert look() == [third]


def test_after_an_outage_of_the_relays_the_line_goes_on_where_it_was(messages) -> None:
    """Those that have waited longest do not wait longest again."""
    ids = messages(20)
    controls.set_limit(TYPE, 1, "why", burst=1)
    assert look() == ids[:1]
    pass_time(10.5)
    passed = []
    for _ in range(19):
        passed += look()
        pass_time(1.01)
    assert passed == ids[1:]


def test_what_was_put_off_keeps_its_place_when_the_broker_was_away(messages) -> None:
    """A relay had it in its hands, and gave it back."""
    first, second = messages(2)
    controls.set_limit(TYPE, 1, "why", burst=1)
    assert look() == [first]
    pass_time(1.01)
    claim = claims.claim(1)
    assert [message.waited for message in claim.messages] == [True]
    claims.release(claim, claim.ids)
    claim = claims.claim(1)
    assert [(message.id, message.waited) for message in claim.messages] == [(second, True)]


def test_lifting_a_limit_recalls_what_a_pause_had_held_meanwhile(messages) -> None:
    """Its slot is still to come when the pause is over."""
    ids = messages(2)
    controls.set_limit(TYPE, 0.001, "why", burst=1)
    assert look() == ids[:1]
    controls.pause("type", TYPE, "why")
    controls.resume("type", TYPE)
    assert controls.lift_limit(TYPE) == 1
    assert look() == ids[1:]


def test_what_was_due_while_no_relay_looked_does_not_go_at_once(messages) -> None:
    """The rate holds after an outage of the relays, too."""
    messages(20)
    controls.set_limit(TYPE, 2, "why", burst=3)
    look()
    pass_time(3600)
    assert len(look()) == 3
    assert look() == []


def test_a_limit_holds_for_all_relays_together(messages) -> None:
    """Eight at once get what one would get."""
    controls.set_limit(TYPE, 0.001, "why", burst=20)
    passed: list[int] = []

    def relay() -> None:
        close_old_connections()
        passed.extend(take_tokens(TYPE, [False] * 3).count(None) for _ in range(10))
        connection.close()

    threads = [threading.Thread(target=relay) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(passed) == 80
    assert sum(passed) == 20
    limit = RateLimit.objects.get()
    assert (limit.last_slot_at - limit.refilled_at).total_seconds() > 200_000  # 220 have a slot each


def test_lifting_a_limit_recalls_what_it_had_put_off_and_nothing_else(messages) -> None:
    """A message that is scheduled for later, or tried again later, keeps its time."""
    ids = messages(3)
    (later,) = messages(1, next_attempt_at=Now() + timedelta(hours=1))
    controls.set_limit(TYPE, 0.001, "why", burst=1)
    assert look() == [ids[0]]
    assert controls.lift_limit(TYPE) == 2
    assert sorted(look()) == ids[1:]
    assert Message.objects.get(pk=later).status == Status.PENDING


def test_a_higher_limit_counts_for_what_waits_already(messages) -> None:
    """Slots of an hour's distance are given up."""
    ids = messages(5)
    controls.set_limit(TYPE, 1 / 3600, "slowly", burst=1)
    look()
    limit = controls.set_limit(TYPE, 100, "quicker")
    assert limit.burst == 100
    assert sorted(look()) == ids[1:]


def test_patience_tells_how_soon_a_line_is_worth_a_look(messages) -> None:
    """Infinite without a line; half of what fills the bucket with one."""
    gate = Gate()
    gate.admit([])
    assert gate.patience == float("inf")
    messages(10)
    controls.set_limit(TYPE, 5, "why", burst=1)
    look()
    gate = Gate()
    gate.admit([])
    assert gate.patience == 0.1


def test_who_and_why_are_kept(messages) -> None:
    """With the row while it holds, and in the admin's history for good."""
    user = User.objects.create_user("olga")
    controls.pause("type", TYPE, "The provider is down", by=user)
    controls.set_limit(TYPE, 5, "They asked", by=user)
    assert Pause.objects.get().paused_by == RateLimit.objects.get().set_by == "olga"
    controls.resume("type", TYPE, by=user)
    controls.lift_limit(TYPE, by=user)
    said = list(LogEntry.objects.order_by("id").values_list("user__username", "change_message"))
    assert [name for name, _ in said] == ["olga"] * 4
    assert said[0][1] == "Paused: The provider is down"
    assert said[2][1] == "Resumed; it was paused because: The provider is down"


@pytest.mark.parametrize(
    ("scope", "value", "reason", "says"),
    [
        ("shop", "x", "why", "no scope 'shop'"),
        ("type", "", "why", "Name the type"),
        ("type", "x" * 201, "why", "at most 200"),
        ("type", "x", " ", "Say why"),
    ],
)
def test_a_pause_that_cannot_be_is_refused(db, scope: str, value: str, reason: str, says: str) -> None:
    """With a sentence that says what to do."""
    with pytest.raises(OperationRefused, match=says):
        controls.pause(scope, value, reason)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(db, rate: float) -> None:
    """Zero is a pause."""
    with pytest.raises(OperationRefused, match="above 0"):
        controls.set_limit(TYPE, rate, "why")


def test_pausing_twice_and_resuming_what_runs_are_refused(db) -> None:
    """The first reason stays; and the message names what is paused."""
    controls.pause("type", TYPE, "first", by="ada")
    with pytest.raises(OperationRefused, match="paused already, by ada: first"):
        controls.pause("type", TYPE, "second")
    with pytest.raises(OperationRefused, match=f"Paused now: type {TYPE}"):
        controls.resume("type", "other")
    with pytest.raises(OperationRefused, match="has no limit"):
        controls.lift_limit("other")


def test_a_name_that_nobody_knows_raises_doubts(db) -> None:
    """With the one that was probably meant. Keys are anything."""
    assert controls.doubts("type", TYPE) == ""
    assert "Did you mean 'sample.add'" in controls.doubts("type", "sample.ad")
    assert "Did you mean 'default'" in controls.doubts("queue", "defualt")
    assert controls.doubts("key", "whatever") == ""


def test_relays_obey(messages) -> None:
    """A pause that comes and goes: nothing is sent meanwhile, and everything afterwards."""
    transport = MemoryTransport()
    controls.pause("type", TYPE, "why")
    ids = messages(5)
    done = Relay(transport).drain()
    assert (done.claimed, done.sent, done.held) == (5, 0, 5)
    assert transport.sent == []
    controls.resume("type", TYPE)
    assert Relay(transport).drain().sent == 5
    assert sorted(m.id for m in transport.sent) == ids


def test_two_relays_keep_a_rate_together_and_reach_the_end(messages) -> None:
    """Thirty at twenty a second, five at once: no sooner than after a second and a quarter."""
    controls.set_limit(TYPE, 20, "why", burst=5)
    messages(30)
    transports = [MemoryTransport(), MemoryTransport()]
    loops = [Loop(Relay(transport)) for transport in transports]
    threads = [threading.Thread(target=loop.run) for loop in loops]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: sum(len(t.sent) for t in transports) == 30, "all to be sent")
        assert time.monotonic() - began >= 1.25
    finally:
        for loop in loops:
            loop.stop()
        for thread in threads:
            thread.join(10)
    assert not Message.objects.exclude(status=Status.SENT).exists()
