"""Rate limits: who may go, and who waits in line."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import close_old_connections, connection
from django.db.models.functions import Now

from outbox import claims, controls
from outbox.models import Message, RateLimit, Status
from outbox.relay.engine import Relay
from outbox.relay.gate import Gate, take_tokens
from outbox.relay.loop import Loop
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until
from tests.integration.outbox.gating import TYPE, look, pass_time


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
    assert controls.lift_limit(TYPE) == (1, 0)
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
    assert controls.lift_limit(TYPE) == (2, 0)
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


def test_lifting_a_limit_lets_go_some_and_leaves_the_rest_to_the_relays(
    messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request ends soon, however long the line was; and it says how many are still to come."""
    monkeypatch.setattr(controls, "BATCH", 2)
    monkeypatch.setattr(controls, "AT_ONCE", 4)
    ids = messages(10)
    (later,) = messages(1, next_attempt_at=Now() + timedelta(hours=1))
    controls.set_limit(TYPE, 0.001, "why", burst=1)
    assert look() == ids[:1]
    assert controls.lift_limit(TYPE) == (4, 5)
    assert sorted(look()) == ids[1:5]
    relay = Relay(MemoryTransport())
    relay.rescue()
    assert relay.drain().sent == 5
    assert Message.objects.get(pk=later).status == Status.PENDING


def test_a_higher_limit_lets_relays_shorten_the_line_that_is_left(
    messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots of the earlier limit are given up, those of the new one are kept."""
    monkeypatch.setattr(controls, "BATCH", 2)
    monkeypatch.setattr(controls, "AT_ONCE", 2)
    ids = messages(8)
    controls.set_limit(TYPE, 1 / 3600, "slowly", burst=1)
    look()
    controls.set_limit(TYPE, 1, "quicker", burst=1)
    assert look() == ids[1:2]
    assert controls.recall(3) == 3
    assert controls.recall(1000) == 2
    assert look() == []
    assert controls.recall(1000) == 0
    rows = Message.objects.filter(status=Status.PENDING).order_by("next_attempt_at")
    gaps = [(b.next_attempt_at - a.next_attempt_at).total_seconds() for a, b in pairwise(rows)]
    assert [round(gap, 1) for gap in gaps] == [1.0] * 5


def test_a_line_is_left_alone_while_its_limit_stands(messages) -> None:
    """Also by a relay that has been slow to put it off."""
    messages(20)
    controls.set_limit(TYPE, 0.5, "why", burst=1)
    look()
    assert controls.recall(1000) == 0
    pass_time(3.0)
    look()
    assert controls.recall(1000) == 0


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
