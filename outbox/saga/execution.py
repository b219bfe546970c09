"""A saga step's command in a worker: begin → act → record.

The command is consumed in the transaction that begins the attempt; from then on the step's own lease guards it. A
worker that dies in between is found by the watchdog, and the step is tried again with the same idempotency key.

:class:`Attempt` knows no Celery: :mod:`outbox.saga.tasks` runs it in a worker, :mod:`outbox.saga.testing` in a test.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded

from outbox.connections import drop_interrupted
from outbox.database import DATABASE_AWAY
from outbox.saga import engine
from outbox.saga.calls import DID_NOT_HAPPEN, NOT_KNOWN, Happened, StepCall, Verdict
from outbox.saga.compensating import CURRENT
from outbox.saga.dependencies import gate
from outbox.saga.dependencies.admission import Admission
from outbox.saga.exceptions import AnswerMissing, AttemptLost, NoSuchSaga
from outbox.saga.models import SagaStep
from outbox.saga.steps import Operation, Step
from outbox.saga.store import Command, FromNow
from outbox.saga.turn import Turn, turn
from outbox.wording import describe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """The attempt has succeeded."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """The attempt has failed, or may not begin yet; it comes again in ``delay`` seconds, or is over (``None``)."""

    error: Exception
    delay: float | None


@dataclass(frozen=True)
class Refused:
    """Nothing was done: the delivery, or the outcome, is a duplicate, outdated, or not wanted (now)."""

    why: str


Outcome = Ended | Failed | Refused


@dataclass(frozen=True)
class Answer:
    """What came of asking the outside world: a result, or an error."""

    result: Any = None
    error: Exception | None = None
    is_clear: bool = False


class Attempt:
    """One attempt of one step in one direction, by the worker that received its command.

    Args:
        saga_id: of the saga.
        message_id: of the command: it tells the step and the direction.
        delivery: the message's attempt that this delivery belongs to.
        actor: the worker, for the history.
    """

    def __init__(self, saga_id: UUID, message_id: UUID, delivery: int, actor: str) -> None:
        self.saga_id = saga_id
        self.command = Command(message_id, delivery)
        self.actor = actor
        self.row: SagaStep | None = None
        self.step: Step
        self.call: StepCall
        self.admission = Admission()
        self.asking = False
        self.doubtful = False
        self.reconciling = False
        self.is_clear = False

    def run(self) -> Outcome:
        """All of it.

        Raises:
            NoSuchSaga: the command is for no saga that exists: nothing was done.
            UnknownSaga, UnknownVersion: this process does not know the saga's definition: nothing was done.
            OperationalError, InterfaceError: the database is away; what happened is not recorded.
        """
        return self.begin() or self.record(self.act())

    def begin(self) -> Outcome | None:
        """Consume the command and start the attempt, in one transaction; local work is done in it, too.

        ``None``: remote work is to be done now, under the lease.
        """
        outcome: Outcome | None = None
        try:
            with self._turn(self.command) as t:
                outcome = self._begin(t)
                if outcome is None and self.operation.is_local:
                    result = self.operation.work(self.call)
                    engine.succeed(t, self._held(), result)
                    outcome = Ended(result or {})
        except DATABASE_AWAY:
            raise  # nobody's outcome: the message is delivered again
        except Exception as error:
            if self.row is None:
                raise
            return self._failed_locally(self._told(error))
        return outcome

    def act(self) -> Answer:
        """Ask outside, in no transaction. First what is known of earlier attempts, where that is in doubt."""
        try:
            with self.admission.watched():
                return self._ask_outside()
        except DATABASE_AWAY:
            raise  # not recorded: unknown, and the lease's end will bring it back
        except Exception as error:  # noqa: BLE001  (whatever it is, it is the attempt's outcome)
            return Answer(error=self._told(error), is_clear=self.is_clear)

    def record(self, answer: Answer) -> Outcome:
        """Write down what came of it, if this attempt still holds the step."""
        if answer.error is not None:
            return self._fail(answer.error, worked=False, is_clear=answer.is_clear)
        try:
            return self._succeed(answer.result)
        except DATABASE_AWAY:
            raise
        except Exception as error:  # noqa: BLE001
            return self._fail(self._told(error), worked=True)

    def heartbeat(self) -> None:
        """Start the lease again, if this attempt still holds the step.

        Raises:
            AttemptLost: it does not, or its time-out has come.
        """
        with self._turn() as t:
            row = self._still_mine(t)
            if row is not None:
                left = self.step.timeout - (t.now - (row.started_at or t.now)).total_seconds()
                t.change(row, locked_until=FromNow(min(self.step.lease, max(left, 0.0))))
        if row is None:
            raise AttemptLost(
                f"Attempt {self.call.attempt} of {self.step.name} is over: others have the step."
            )
        self.admission.extend(self.step.lease)
        if left <= 0:
            raise AttemptLost(f"Attempt {self.call.attempt} has taken its {self.step.timeout:g} s.")

    @property
    def operation(self) -> Operation:
        """What it does."""
        return self.step.operation(self._held().direction)

    def _begin(self, t: Turn) -> Outcome | None:
        """A command that the saga no longer wants is consumed, too."""
        row = next((row for row in t.rows if row.message_id == self.command.message_id), None)
        if not t.consumed:
            return self._refuse(t, row, "is consumed, outdated or unknown")
        if row is None or row.status != SagaStep.Status.SCHEDULED:
            return self._refuse(t, row, "is not wanted any more")
        if t.is_paused:
            engine.hold(t, row)
            return Refused(f"The saga is paused: {row} is held.")
        if t.saga.status not in CURRENT:
            return self._refuse(t, row, "is for a saga that waits for a person or has ended")
        self.step, self.asking, self.doubtful = t.definition.step(row.name), row.asking, row.may_have_happened
        admitted = self.ask(t, row)
        if isinstance(admitted, gate.Postponed):
            return Failed(gate.ServiceBusy(admitted.text), admitted.delay)
        engine.begin(t, row, self.step)
        self.admission, self.row, self.call = admitted, row, t.call(row, self.heartbeat)
        return None

    def ask(self, t: Turn, row: SagaStep) -> Admission | gate.Postponed:
        """Whether the step's service may be called now."""
        return gate.ask(t, row, self.step, t.call(row))

    def _failed_locally(self, error: Exception) -> Outcome:
        """The attempt's transaction was rolled back with all it did: note the attempt and its error."""
        with self._turn(self.command) as t:
            refused = self._begin(t)
            delay = None if refused else engine.fail(t, self._held(), self.step, error)
        return refused or Failed(error, delay)

    def _ask_outside(self) -> Answer:
        self.is_clear, self.reconciling = False, True
        verdict = self._reconcile()
        self.reconciling = False
        if isinstance(verdict, Happened):
            return Answer(verdict.result)
        self.is_clear = verdict is DID_NOT_HAPPEN
        if self.asking:
            return Answer(error=AnswerMissing(verdict.value), is_clear=self.is_clear)
        return Answer(self.operation.work(self.call), is_clear=self.is_clear)

    def _reconcile(self) -> Happened | Verdict:
        """Before another try an error is no reason to wait: the work carries the same key, and may be luckier."""
        reconcile = self.step.reconcile
        if reconcile is None or not self.doubtful or self._held().direction != "action":
            return NOT_KNOWN
        try:
            return reconcile(self.call)
        except (SoftTimeLimitExceeded, *DATABASE_AWAY):
            raise
        except Exception:
            if self.asking:
                raise
            logger.warning("What became of %s could not be asked", self.call.action_key, exc_info=True)
            return NOT_KNOWN

    def _succeed(self, result: Any) -> Outcome:
        with self._turn() as t:
            row = self._still_mine(t)
            if row is None:
                return self._too_late()
            kept = result or {}
            if self.operation.record is not None:
                engine.checked(self.step, row, kept)
                self.operation.record(self.call, kept)
            engine.succeed(t, row, kept)
        return Ended(kept)

    def _fail(self, error: Exception, *, worked: bool, is_clear: bool = False) -> Outcome:
        with self._turn() as t:
            row = self._still_mine(t)
            if row is None:
                return self._too_late()
            self.admission.spare(t, row)
            delay = engine.fail(t, row, self.step, error, worked=worked, is_clear=is_clear)
        return Failed(error, delay)

    def _still_mine(self, t: Turn) -> SagaStep | None:
        """The step, if this attempt still holds it: the fence against late and zombie outcomes."""
        mine = self._held()
        row = t.step(mine.name, mine.direction)
        if row is None:
            return None
        if row.status == SagaStep.Status.RUNNING and row.attempt == self.call.attempt:
            return row
        t.change(row, outcomes_refused=row.outcomes_refused + 1)
        t.note("outcome refused", row, f"Attempt {self.call.attempt} came too late.")
        return None

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, SoftTimeLimitExceeded):
            drop_interrupted()
            number, timeout = self.call.attempt, self.step.timeout
            lost = AttemptLost(f"Attempt {number} was interrupted: it may take {timeout} s.")
            lost.__cause__ = error
            return lost
        if self.reconciling:  # of whatever class it is, it says nothing of the action
            missing = AnswerMissing(f"What became of it could not be asked: {describe(error)}")
            missing.__cause__ = error
            return missing
        return error

    def _too_late(self) -> Refused:
        return Refused(
            f"Attempt {self.call.attempt} of {self.step.name} came too late: its outcome is refused."
        )

    def _refuse(self, t: Turn, row: SagaStep | None, why: str) -> Refused:
        if row is not None:
            t.change(row, duplicates_refused=row.duplicates_refused + 1)
        return Refused(f"Delivery {self.command.delivery} of {self.command.message_id} {why}.")

    def _held(self) -> SagaStep:
        if self.row is None:
            raise RuntimeError("The attempt has not begun.")
        return self.row

    @contextmanager
    def _turn(self, command: Command | None = None) -> Iterator[Turn]:
        with turn(self.saga_id, self.actor, command=command) as t:
            if t is None:
                raise NoSuchSaga(f"There is no saga {self.saga_id}.")
            yield t
