"""What whoever commits it does not send: relays do that better, or may have it already."""

from __future__ import annotations

import time

import pytest
from django.db import connection, transaction

from outbox import controls
from outbox.models import Message
from outbox.publish import build, insert, send_command
from outbox.relay.courier import FRESH
from outbox.relay.handing_over import MOST, HandingOver
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until
from tests.integration.outbox.courier.conftest import publish

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_pause_holds_for_it_too(transport: MemoryTransport) -> None:
    """An operator's word counts whoever sends."""
    controls.pause("type", "sample.add", "a look first")
    (held,) = publish()
    wait_until(lambda: Message.objects.get(pk=held).waits_for, "the message to be held")
    assert transport.sent == []


@pytest.mark.parametrize("options", [{"delay": 60}, {"key": "k"}, {"schedule_key": "s"}], ids=str)
def test_what_must_wait_is_a_relays(transport: MemoryTransport, options: dict[str, object]) -> None:
    """A time, an order, or a name under which it may still be replaced."""
    (id_,) = publish(**options)
    assert Message.objects.get(pk=id_).status == "pending"
    assert transport.sent == []


def test_many_are_a_relays(transport: MemoryTransport) -> None:
    """It sends them in larger batches, and a bulk of work does not go past what waits."""
    with transaction.atomic():
        insert([build("sample.add", {"a": n}, consumer="sample.add") for n in range(MOST + 1)])
    assert set(Message.objects.values_list("status", flat=True)) == {"pending"}


def test_many_of_one_transaction_are_a_relays_too(transport: MemoryTransport, woken: list[str]) -> None:
    """However they are written: after the first ones the others are left, with one wake-up."""
    with transaction.atomic():
        for n in range(MOST * 2):
            send_command("sample.add", {"a": n})
    wait_until(lambda: len(transport.sent) == MOST, "the first ones to be sent")
    assert Message.objects.filter(status="pending").count() == MOST
    assert woken == ["woken"]


def test_a_transaction_that_takes_too_long_sends_nothing(
    transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch, woken: list[str]
) -> None:
    """Others may have what it wrote first, or will soon: that is given back, and what it writes later is a relay's."""
    clock = time.monotonic
    with transaction.atomic():
        publish()
        with monkeypatch.context() as later:
            later.setattr(time, "monotonic", lambda: clock() + FRESH + 1)
            publish()
        assert sorted(Message.objects.values_list("status", flat=True)) == ["pending", "processing"]
        (waiting,) = [hook[1] for hook in connection.run_on_commit if isinstance(hook[1], HandingOver)]
        waiting.since -= FRESH + 1
    wait_until(
        lambda: not Message.objects.filter(status="processing").exists(), "the message to be given back"
    )
    assert set(Message.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert transport.sent == []
    assert woken
