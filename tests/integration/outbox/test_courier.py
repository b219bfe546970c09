"""Sent at once by whoever committed it, and no worse off than any claimed message when that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connection, transaction

from outbox import claims, consumption, controls
from outbox.claims import Claimed
from outbox.database import execute, fetch
from outbox.models import Message
from outbox.publish import build, insert, send_command
from outbox.relay import courier, handing_over, wakeup
from outbox.relay.courier import FRESH, Courier
from outbox.relay.handing_over import MOST, HandingOver
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
        monkeypatch.setattr(handing_over, "_courier", PerProcess(lambda: hired[-1], lambda _: True))
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


class Raising(MemoryTransport):
    """A transport that breaks in its own way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Break."""
        raise self.error


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


def backends() -> int:
    """Connections to the test's database."""
    ((count,),) = fetch("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    return int(count)


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
    settings.OUTBOX = {"WAKE_UP": ("direct", "task"), "TRANSPORT": f"{__name__}.Hanging"}
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


def test_an_idle_courier_has_no_database_connection(
    transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lets it go after a while without work, and makes another when there is some."""
    monkeypatch.setattr(courier, "IDLE_AFTER", 0.1)
    monkeypatch.setattr(courier, "SETTLE_AFTER", 0.1)
    before = backends()
    for sent in (1, 2):
        publish()
        wait_until(lambda: len(transport.sent) == sent, "the message to be sent")  # noqa: B023
        wait_until(lambda: not Message.objects.filter(status="processing").exists(), "it to be settled")
        wait_until(lambda: backends() <= before, "the connection to be closed")


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
