"""No worse off than any claimed message when sending it at once fails, hangs or ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import OperationalError

from outbox import claims
from outbox.database import execute
from outbox.models import Message
from outbox.relay import handing_over
from outbox.relay.courier import Courier
from outbox.relay.per_process import PerProcess
from outbox.transports.base import Transport
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until
from tests.integration.outbox.courier.conftest import Hanging, Raising, publish

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_broker_that_is_away_leaves_it_to_the_relays(transport: MemoryTransport, woken: list[str]) -> None:
    """The message is as if nobody had tried, a relay is told, and for a while it gets all that is committed."""
    transport.available = False
    (first,) = publish()
    wait_until(lambda: Message.objects.get(pk=first).status == "pending", "the message to be given back")
    assert Message.objects.get(pk=first).attempts == 0
    wait_until(lambda: woken, "a relay to be woken")
    (second,) = publish()
    assert Message.objects.get(pk=second).status == "pending"
    assert {message.id for message in claims.claim(10).messages} == {first, second}


@pytest.mark.parametrize(
    "error", [OSError("gone"), OperationalError("no connection"), KeyError("bug")], ids=repr
)
def test_whatever_goes_wrong_is_left_to_the_relays(
    hire: Callable[[Transport], Courier], woken: list[str], error: Exception
) -> None:
    """Also in words that no transport should use: nothing waits for the end of a lease, and it is not tried again and
    again."""
    hire(Raising(error))
    (first,) = publish()
    wait_until(lambda: Message.objects.get(pk=first).status == "pending", "the message to be given back")
    wait_until(lambda: woken, "a relay to be woken")
    (second,) = publish()
    assert set(Message.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert Message.objects.get(pk=second).lock_id is None


def test_a_broker_that_is_back_is_found(transport: MemoryTransport) -> None:
    """After the pause the next message is the probe."""
    transport.available = False
    publish()
    wait_until(lambda: handing_over._courier.get().breaker.failures, "the failure to be noticed")
    transport.available = True
    wait_until(lambda: handing_over._courier.get().is_free, "the pause to be over")
    (later,) = publish()
    wait_until(lambda: [message.id for message in transport.sent] == [later], "the next one to be sent")


def test_a_broker_that_hangs_holds_up_nobody(hire: Callable[[Transport], Courier], woken: list[str]) -> None:
    """What is committed while a message hangs is left to the relays at once."""
    hanging = Hanging()
    hired = hire(hanging)
    publish()
    wait_until(lambda: not hired.is_free, "the courier to hang")
    (later,) = publish()
    assert Message.objects.get(pk=later).status == "pending"
    assert woken
    hanging.answers.set()


def test_a_thread_that_hangs_for_long_is_given_up(
    settings, monkeypatch: pytest.MonkeyPatch, woken: list[str]
) -> None:
    """The process gets another one, with more patience; the old one ends when its sending does."""
    settings.OUTBOX = {"WAKE_UP": ("direct", "task"), "TRANSPORT": f"{Hanging.__module__}.Hanging"}
    monkeypatch.setattr(handing_over, "LOST_AFTER", 0.6)
    monkeypatch.setattr(handing_over, "_courier", PerProcess(handing_over._hire, lambda one: one.is_alive))
    publish()
    hanging = handing_over._courier.made
    assert hanging
    wait_until(lambda: not hanging.is_alive, "the courier to be lost")
    publish()
    other = handing_over._courier.made
    assert other
    assert other is not hanging
    assert other.patience > hanging.patience
    for one in (hanging, other):
        one._transport.answers.set()  # type: ignore[attr-defined]
    wait_until(lambda: not hanging.thread.is_alive(), "the old thread to end")
    other.stop()


def test_no_courier_is_no_reason_not_to_publish(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a transport that is not there, or no more threads."""
    settings.OUTBOX = {"WAKE_UP": ("direct",), "TRANSPORT": "no.such.Transport"}
    monkeypatch.setattr(handing_over, "_courier", PerProcess(handing_over._hire, lambda _: True))
    (id_,) = publish()
    assert Message.objects.get(pk=id_).status == "pending"


def test_a_message_that_cannot_be_sent_goes_to_the_relays(transport: MemoryTransport) -> None:
    """They write down why; the others of its transaction are not kept back."""
    transport.refuse = lambda message: ValueError("no") if '"a": 0' in message.payload else None
    bad, good = publish(2)
    wait_until(lambda: Message.objects.get(pk=bad).status == "pending", "the bad one to be given back")
    wait_until(lambda: [message.id for message in transport.sent] == [good], "the good one to be sent")


def test_a_process_that_ends_does_not_wait_for_a_broker_that_hangs(
    hire: Callable[[Transport], Courier], woken: list[str]
) -> None:
    """It ends; the end of the lease brings the message back."""
    hanging = Hanging()
    hired = hire(hanging)
    publish()
    wait_until(lambda: not hired.is_free, "the courier to hang")
    handing_over.stop_courier()
    assert hired.thread.is_alive()
    hanging.answers.set()


def test_a_process_that_dies_takes_nothing_along(hire: Callable[[Transport], Courier]) -> None:
    """Committed and never sent: it comes back when its short lease is over, and no attempt is counted."""
    hired = hire(MemoryTransport())
    hired.stop()
    (lost,) = publish()
    execute("UPDATE outbox_message SET locked_until = now() - interval '1 second'")
    assert claims.rescue(10).expired == 1
    assert Message.objects.get(pk=lost).attempts == 0
    (again,) = claims.claim(10).messages
    assert (again.id, again.attempts) == (lost, 1)
