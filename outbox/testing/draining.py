"""Deliver messages in the test's own process, by the code that relays and workers run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from celery import current_app
from celery.app.trace import build_tracer
from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test.utils import override_settings
from kombu.serialization import loads

from outbox import claims
from outbox.claims import Claimed
from outbox.conf import conf
from outbox.database import connection
from outbox.models import Message, Status
from outbox.relay.batch import Batch
from outbox.relay.gate import Gate
from outbox.relay.horizon import Horizon
from outbox.transports.base import Transport
from outbox.transports.envelope import Envelope, render

HOST = "drain()"
Outcome = Literal["consumed", "waiting", "failed", "refused"]


class DeliveryFailed(AssertionError):
    """A message ended as Failed; its cause is the consumer's exception."""


@dataclass(frozen=True)
class Delivered:
    """One attempt of a message.

    Args:
        type: the event's or the task's name.
        consumer: the task that ran.
        attempt: which one it was, from 1.
        outcome: ``consumed``; ``waiting`` for another attempt; ``failed`` for good; or ``refused``, when the task had
            nothing to consume.
        error: what went wrong; empty when nothing did.
        exception: the same as an exception, where the task raised one.
    """

    type: str
    consumer: str
    attempt: int
    outcome: Outcome
    error: str = ""
    exception: BaseException | None = field(default=None, compare=False)

    def __str__(self) -> str:
        text = f"{self.consumer or self.type}, attempt {self.attempt}: {self.outcome}"
        return f"{text} ({self.error})" if self.error else text


@dataclass(frozen=True)
class Drained:
    """What :func:`drain` did: every attempt in its order, and how many messages still wait for a later time."""

    attempts: list[Delivered]
    waiting: int

    def of(self, outcome: Outcome) -> list[Delivered]:
        """The attempts that ended so."""
        return [delivered for delivered in self.attempts if delivered.outcome == outcome]


class InProcess(Transport):
    """Renders messages as for Celery's broker, and keeps them for this process to run."""

    def __init__(self) -> None:
        self.envelopes: list[tuple[Claimed, Envelope]] = []

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Render each; the errors are those of a real transport."""
        errors: dict[UUID, Exception] = {}
        for message in messages:
            try:
                self.envelopes.append((message, render(current_app._get_current_object(), message)))
            except Exception as error:  # noqa: BLE001  (whatever it is, it is this message's own)
                errors[message.id] = error
        return errors


def drain(*, travel: timedelta = timedelta(), check: bool = True, limit: int = 1000) -> Drained:
    """Deliver all that is due, and all that follows from it, until nothing is due any more.

    The relay's statements claim and settle, Celery's own tracer runs the tasks, the consumers' statements mark them:
    retries, order per key and failures are those of production, without a broker, a worker or a result backend.

    Args:
        travel: also what becomes due within this time from now, the earliest first. Every further attempt's wait is
            counted from the real now again.
        check: whether a message that ends as Failed is an error of the test.
        limit: attempts after which this counts as a loop.

    Raises:
        DeliveryFailed: a message ended as Failed and ``check`` is true.
        AssertionError: after ``limit`` attempts there was still something due.

    Not the same as in production: one message at a time; the transaction of the test is around it all, so that a
    leased task which leaves the connection in an aborted transaction aborts the test's; and a message that this process
    does not know is Failed at once, as nobody else is on the way.
    """
    here = {"UNKNOWN_TYPE_PATIENCE": 0.0, "WAKE_UP": ()}  # and nobody else takes what follows
    with override_settings(OUTBOX={**getattr(settings, "OUTBOX", {}), **here}):
        return _deliver_all(travel, check, limit)


def _deliver_all(travel: timedelta, check: bool, limit: int) -> Drained:
    attempts: list[Delivered] = []
    while True:
        found = _round()
        attempts += found
        failed = [delivered for delivered in found if delivered.outcome == "failed"]
        if failed and check:
            raise DeliveryFailed(str(failed[0])) from failed[0].exception
        if len(attempts) > limit:
            raise AssertionError(f"After {limit} attempts messages were still due. The last: {attempts[-1]}.")
        if not found and not _advance(travel):
            return Drained(attempts, _pending().count())


def _round() -> list[Delivered]:
    """Claim, send and settle one batch, then run what was sent."""
    claims.heal(
        conf().BATCH_SIZE
    )  # what waits is let go after a commit, which a test's transaction never sees
    batch = Batch.claim(HOST, Horizon(), Gate())
    transport = InProcess()
    errors = transport.send(batch.messages)
    batch.settle(errors)
    unsent = [_outcome(message, errors[message.id]) for message in batch.messages if message.id in errors]
    return unsent + [_run(message, envelope) for message, envelope in transport.envelopes]


def _run(message: Claimed, envelope: Envelope) -> Delivered:
    """Run a task as a worker does, but for its result backend."""
    options = envelope.options
    args, kwargs, embed = loads(  # type: ignore[no-untyped-call]  # kombu ships no types
        envelope.body, options["content_type"], options["content_encoding"], accept={"application/json"}
    )
    headers = options["headers"]
    request = {
        **headers,
        **embed,
        "args": args,
        "kwargs": kwargs,
        "hostname": HOST,
        "is_eager": False,
        "delivery_info": {"exchange": "", "routing_key": options["routing_key"], "redelivered": False},
    }
    task = current_app.tasks[headers["task"]]
    trace = build_tracer(task.name, task, app=task.app, hostname=HOST, eager=True)  # eager: keeps no result
    info = trace(headers["id"], args, kwargs, request).info
    return _outcome(message, info.retval if info is not None else None)


def _outcome(message: Claimed, raised: Any) -> Delivered:
    """What an attempt led to, as its row tells."""
    row = Message.objects.using(conf().DATABASE).filter(pk=message.id).first()
    outcome: Outcome = "refused"
    if row is not None and row.consumed_at is not None:
        outcome = "consumed"
    elif row is not None and row.status in (Status.FAILED, Status.PENDING):
        outcome = "failed" if row.status == Status.FAILED else "waiting"
    error = row.last_error if row is not None and outcome in ("failed", "waiting") else ""
    exception = raised if isinstance(raised, BaseException) else None
    return Delivered(message.type, message.consumer, message.attempts, outcome, error, exception)


def _advance(travel: timedelta) -> bool:
    """Make due what is due next, if that is soon enough. Claims compare with the start of the transaction, which in a
    test lies before all that it published."""
    start = TransactionNow() if connection().vendor == "postgresql" else Now()
    waiting = _pending().filter(
        waits_for=None, next_attempt_at__gt=start, next_attempt_at__lte=Now() + travel
    )
    earliest = waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    return earliest is not None and bool(
        waiting.filter(next_attempt_at=earliest).update(next_attempt_at=start)
    )


def _pending() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE).filter(status=Status.PENDING)
