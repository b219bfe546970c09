"""Pauses: what waits for their end, and what happens then."""

from __future__ import annotations

import pytest

from outbox import claims, controls, known
from outbox.models import Message, Pause, Status
from outbox.relay.engine import Relay
from outbox.relay.gate import Gate
from outbox.transports.memory import MemoryTransport
from tests.integration.outbox.gating import TYPE, look


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
