"""Sent at once by whoever committed it, and no worse off than any claimed message when that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from outbox import claims, consumption, controls
from outbox.claims import Claimed
from outbox.database import execute
from outbox.models import Message
from outbox.publish import build, insert, send_command
from outbox.relay import courier, wakeup
from outbox.relay.courier import Courier
from outbox.relay.per_process import PerProcess
from outbox.transports.base import Transport
from outbox.transports.celery import CeleryTransport
from outbox.transports.memory import MemoryTransport
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox import sample  # noqa: F401  (declares the task that messages are for)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts wake-ups of relays instead of sending them."""
    calls: list[str] = []
    for module in (wakeup, courier):
        monkeypatch.setattr(module, "wake", lambda: calls.append("woken"))
    return calls


@pytest.fixture
def hire(settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Transport], Courier]]:
    """Makes the courier of this process, sending through a transport of the test's own."""
    settings.OUTBOX = {"WAKE_UP": ("direct", "task")}
    hired: list[Courier] = []

    def make(transport: Transport) -> Courier:
        hired.append(Courier(transport))
        monkeypatch.setattr(courier, "_courier", PerProcess(lambda: hired[-1], lambda _: True))
        return hired[-1]

    yield make
    for one in hired:
        one.stop()


@pytest.fixture
def transport(hire: Callable[[Transport], Courier], woken: list[str]) -> MemoryTransport:
    """What a courier that is at work sends through."""
    made = MemoryTransport()
    hire(made)
    return made


class Hanging(MemoryTransport):
    """A broker that answers only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Wait for the answer."""
        assert self.answers.wait(30)
        return super().send(messages)


def publish(count: int = 1, **options: object) -> list[UUID]:
    """Commit some messages."""
    with transaction.atomic():
        return [send_command("sample.add", {"a": n}, **options) for n in range(count)]


def test_what_is_committed_is_sent_without_a_relay(transport: MemoryTransport, woken: list[str]) -> None:
    """All of a transaction together, after its commit; nobody is woken, and the delivery is the current one."""
    with transaction.atomic():
        ids = publish(2)
        assert transport.sent == []
    wait_until(lambda: len(transport.sent) == 2, "the messages to be sent")
    assert [message.id for message in transport.sent] == ids
    assert woken == []
    assert all(consumption.consume(message.id, message.attempts) for message in transport.sent)


def test_a_rollback_sends_nothing(transport: MemoryTransport) -> None:
    """Neither that of the transaction nor that of a savepoint in it."""
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            publish()
            raise RuntimeError
        (kept,) = publish()
    wait_until(lambda: transport.sent, "the other message to be sent")
    assert [message.id for message in transport.sent] == [kept]


def test_what_nobody_consumed_is_settled(transport: MemoryTransport) -> None:
    """It is Sent, and waits for its consumer as long as any other; what was consumed meanwhile stays as it is."""
    slow, quick = publish(2)
    wait_until(lambda: len(transport.sent) == 2, "the messages to be sent")
    assert consumption.consume(quick, 1)
    wait_until(lambda: Message.objects.get(pk=slow).status == "sent", "the other one to be settled")
    assert Message.objects.get(pk=slow).lock_id is None
    assert Message.objects.get(pk=quick).consumed_at


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


def test_a_broker_that_is_back_is_found(transport: MemoryTransport) -> None:
    """After the pause the next message is the probe."""
    transport.available = False
    publish()
    wait_until(lambda: courier._courier.get().breaker.failures, "the failure to be noticed")
    transport.available = True
    wait_until(lambda: courier._courier.get().is_free, "the pause to be over")
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


def test_a_message_that_cannot_be_sent_goes_to_the_relays(transport: MemoryTransport) -> None:
    """They write down why; the others of its transaction are not kept back."""
    transport.refuse = lambda message: ValueError("no") if '"a": 0' in message.payload else None
    bad, good = publish(2)
    wait_until(lambda: Message.objects.get(pk=bad).status == "pending", "the bad one to be given back")
    wait_until(lambda: [message.id for message in transport.sent] == [good], "the good one to be sent")


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
        insert([build("sample.add", {"a": n}, consumer="sample.add") for n in range(courier.MOST + 1)])
    assert set(Message.objects.values_list("status", flat=True)) == {"pending"}


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


def test_a_worker_takes_what_another_process_has_sent_at_once(
    platform: Platform, hire: Callable[[Transport], Courier]
) -> None:
    """The real broker, a real worker, and nobody who relays."""
    hire(CeleryTransport())
    platform.worker("default", concurrency=1)
    shipped = {
        "order_id": str(uuid4()),
        "total": "9.50",
        "currency": "EUR",
        "shipped_at": "2026-01-01T00:00:00Z",
    }
    with transaction.atomic():
        id_ = send_command("orders.count_daily_sales", shipped)
    wait_until(lambda: Message.objects.get(pk=id_).consumed_at, "the worker to have consumed it")
