"""For tests of sagas: run one in this process, step by step, with chosen failures. No broker, no worker, no waiting.

The engine and the database are the real ones; the test's own transaction is enough (pytest-django's ``db``)::

    run = SagaRun("orders.fulfilment", str(order.id))
    run.step()                                    # inventory
    run.fail("payment", Timeout(), times=2)       # the next two attempts raise this, before they have acted
    run.to_end()
    assert run.status == "completed"
    assert run.steps == ["inventory", "payment", "shipping"]

The saga is the one that the code under test has started; ``SagaRun.start`` opens one without that.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.database import atomic, fetch
from outbox.saga import engine, signals, watchdog
from outbox.saga.calls import StepCall
from outbox.saga.dependencies.admission import Admission
from outbox.saga.execution import Attempt, Outcome
from outbox.saga.models import Saga, SagaStep
from outbox.saga.steps import Operation
from outbox.saga.turn import Turn

MOST_STEPS = 200

TAKE = """
UPDATE outbox_message
SET status = 'sent', attempts = attempts + 1, sent_at = now(), lock_id = NULL,
    locked_until = now() + interval '1 hour'
WHERE id = %s AND consumed_at IS NULL AND status IN ('pending', 'sent')
RETURNING attempts
"""


class Killed(BaseException):
    """What ends a worker that a test kills: as SIGKILL, it lets nothing of ours run."""


@dataclass(frozen=True)
class _Fault:
    error: BaseException
    after: bool


class SagaRun:
    """One saga, driven by a test.

    Args:
        definition: the saga's definition.
        key: the business thing it works on.

    Raises:
        LookupError: there is no such saga; the code under test has not started one.
    """

    def __init__(self, definition: str, key: str) -> None:
        found = fetch("SELECT id FROM saga_saga WHERE definition = %s AND key = %s", [definition, key])
        if not found:
            raise LookupError(f"There is no saga {definition} of {key}. Start one: SagaRun.start(…).")
        self.id: UUID = found[0][0]
        self.calls: list[tuple[str, str]] = []
        self._faults: defaultdict[tuple[str, str], list[_Fault]] = defaultdict(list)

    @classmethod
    def start(cls, definition: str, key: str, *, actor: str = "test") -> SagaRun:
        """Open a saga and return its run."""
        with atomic():
            engine.start(definition, key, actor=actor)
        return cls(definition, key)

    @property
    def saga(self) -> Saga:
        """Its row, as it is now."""
        return Saga.objects.using(conf().DATABASE).get(pk=self.id)

    @property
    def status(self) -> str:
        """Such as ``running``."""
        return self.saga.status

    @property
    def context(self) -> dict[str, Any]:
        """The results so far, by step."""
        return dict(self.saga.context)

    @property
    def steps(self) -> list[str]:
        """The steps whose work was called, in order, undos as ``undo payment``; each attempt counts."""
        return [name if direction == "action" else f"undo {name}" for name, direction in self.calls]

    @property
    def rows(self) -> dict[str, str]:
        """The state of each step that was reached, undos as ``undo payment``."""
        rows = SagaStep.objects.using(conf().DATABASE).filter(saga_id=self.id)
        return {row.name if row.direction == "action" else f"undo {row.name}": row.status for row in rows}

    @property
    def history(self) -> list[str]:
        """Each transition, such as ``payment: will retry``."""
        entries = self.saga.transitions.all()
        return [f"{entry.step}: {entry.what}" if entry.step else entry.what for entry in entries]

    def fail(
        self, step: str, error: BaseException, *, times: int = 1, after: bool = False, undo: bool = False
    ) -> None:
        """Have the next attempts of a step end with this error.

        Args:
            step: its name.
            error: raised instead of the work; :class:`Killed` ends the attempt as a dead worker.
            times: so many attempts.
            after: raised after the work was done: a time-out that came too late.
            undo: of its compensation.
        """
        self._faults[step, "compensation" if undo else "action"] += [_Fault(error, after)] * times

    def step(self) -> list[Outcome]:
        """Deliver every command that waits, however far away its next attempt is. Returns what came of each."""
        waiting = SagaStep.objects.using(conf().DATABASE).filter(saga_id=self.id, status="scheduled")
        outcomes = []
        for row in list(waiting.exclude(message_id=None)):
            taken = fetch(TAKE, [row.message_id])
            if taken and row.message_id:
                outcomes.append(self._attempt(row.message_id, taken[0][0]))
        return [outcome for outcome in outcomes if outcome is not None]

    def to_end(self) -> str:
        """Deliver until nothing is left to be done; returns the saga's status then.

        It ends, is parked, is paused, or waits for an event.

        Raises:
            AssertionError: it goes round and round.
        """
        for _ in range(MOST_STEPS):
            if not self.step():
                return self.status
        raise AssertionError(f"The saga does not come to an end: {self.rows}")

    def signal(self, event: str, payload: Any = None, *, signal_id: str = "1") -> signals.Received:
        """Tell it of an outside event."""
        saga = self.saga
        with atomic():
            return signals.signal(
                saga.definition, saga.key, event, payload, signal_id=signal_id, actor="test"
            )

    def pass_time(self, seconds: float) -> watchdog.Swept:
        """Let time go by for this saga: leases, waits and its deadline; then the watchdog comes round."""
        ago = timedelta(seconds=seconds)
        rows = SagaStep.objects.using(conf().DATABASE).filter(saga_id=self.id)
        rows.filter(locked_until__isnull=False).update(locked_until=F("locked_until") - ago)
        rows.update(scheduled_at=F("scheduled_at") - ago)
        Saga.objects.using(conf().DATABASE).filter(pk=self.id).update(deadline_at=F("deadline_at") - ago)
        return watchdog.sweep()

    def kill(self, step: str, *, after: bool = False, undo: bool = False) -> None:
        """Have the worker of a step's next attempt die, before its work or after it; then its lease is over."""
        self.fail(step, Killed(), after=after, undo=undo)
        self.step()
        lease_is_over = SagaStep.objects.using(conf().DATABASE).filter(saga_id=self.id, status="running")
        lease_is_over.update(locked_until=Now() - timedelta(seconds=1))
        watchdog.sweep()

    def _attempt(self, message_id: UUID, delivery: int) -> Outcome | None:
        try:
            return _ChosenAttempt(self, message_id, delivery).run()
        except Killed:
            return None

    def _called(self, attempt: Attempt, work: Operation, call: StepCall) -> Any:
        """The step's work, or what the test has chosen instead."""
        name, direction = attempt.step.name, call.idempotency_key.rsplit(":", 1)[1]
        self.calls.append((name, direction))
        faults = self._faults[name, direction]
        fault = faults.pop(0) if faults else None
        if fault is not None and not fault.after:
            raise fault.error
        result = work.work(call)
        if fault is not None:
            raise fault.error
        return result


class _ChosenAttempt(Attempt):
    """A real attempt; only its work goes through the test."""

    def __init__(self, run: SagaRun, message_id: UUID, delivery: int) -> None:
        super().__init__(run.id, message_id, delivery, "test")
        self._run = run

    def ask(self, t: Turn, row: SagaStep) -> Admission:  # noqa: ARG002
        """Always: a test waits for nobody, and its failures are no service's."""
        return Admission()

    @property
    def operation(self) -> Operation:
        """The step's own, with its work watched."""
        real = super().operation
        return Operation(lambda call: self._run._called(self, real, call), real.record, real.is_local)
