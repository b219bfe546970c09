"""A saga step's command in a worker: begin → act → record.

The command is consumed in the transaction that begins the attempt; from then on the step's own lease guards it. A
worker that dies in between is found by the watchdog, and the step is tried again with the same idempotency key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery.exceptions import Ignore, Retry, SoftTimeLimitExceeded

from outbox.celery import delivery_of
from outbox.consumption import consume
from outbox.database import DATABASE_AWAY
from outbox.saga import engine
from outbox.saga.definition import SagaDefinition, Step, StepCall
from outbox.saga.exceptions import AttemptLost, NoSuchSaga
from outbox.saga.models import SagaStep
from outbox.saga.turn import Turn, turn

if TYPE_CHECKING:
    from outbox.celery import DurableTask


def perform(
    task: DurableTask, definition: SagaDefinition, step: Step, direction: str, saga_id: object
) -> Any:
    """Run one attempt of a step.

    Args:
        saga_id: what the command calls the saga. Anybody may have written the command: it is checked here.

    Raises:
        Ignore: the delivery is a duplicate or outdated: nothing was done.
        NoSuchSaga: the command is for no saga that exists: nothing was done.
        Retry: the attempt failed and the step is scheduled again; Celery shows the task as RETRY.
        Exception: the step's final error; the saga has turned back or was parked.
    """
    attempt = Attempt(task, definition, step, direction, _as_id(saga_id))
    return attempt.run_local() if step.operation(direction).is_local else attempt.run_remote()


class Attempt:
    """One attempt of one step in one direction, by the worker that received its command."""

    def __init__(
        self, task: DurableTask, definition: SagaDefinition, step: Step, direction: str, saga_id: UUID
    ) -> None:
        self.definition = definition
        self.step = step
        self.direction = direction
        self.operation = step.operation(direction)
        self.saga_id = saga_id
        self.actor = str(task.request.hostname or "")
        self.message_id, self.delivery = delivery_of(task)
        self.number = 0

    def run_local(self) -> Mapping[str, Any]:
        """All in one transaction; when that fails, the failure in another."""
        try:
            with self._turn() as t:
                if begun := self._begin(t):
                    row, call = begun
                    result = self.operation.work(call) or {}
                    engine.succeed(t, row, result)
        except (Ignore, *DATABASE_AWAY):
            raise  # a database that is away is nobody's outcome: the message is delivered again
        except Exception as error:
            raise self._failed_locally(error) from error
        if not begun:
            raise self._nothing_to_do()
        return result

    def run_remote(self) -> Mapping[str, Any]:
        """Begin in one transaction, call outside of any, record in another."""
        with self._turn() as t:
            begun = self._begin(t)
        if not begun:
            raise self._nothing_to_do()
        _, call = begun
        with self._outcome(worked=False):
            result = self.operation.work(call) or {}
        with self._outcome(worked=True):
            self._record(call, result)
        return result

    def _begin(self, t: Turn) -> tuple[SagaStep, StepCall] | None:
        """Consume the command and start the attempt. A command that the saga no longer wants is consumed too."""
        if not consume(self.message_id, self.delivery):
            raise self._nothing_to_do()
        row = t.step(self.step.name, self.direction)
        if row is None or row.message_id != self.message_id or not engine.begin(t, row, self.step):
            return None
        self.number = row.attempt
        return row, self._call(t)

    def _failed_locally(self, error: Exception) -> Exception:
        """The attempt's transaction was rolled back with all it did: note the attempt and its error."""
        with self._turn() as t:
            begun = self._begin(t)
            delay = engine.fail(t, begun[0], self.step, error) if begun else None
        return _told(error, delay)

    def _record(self, call: StepCall, result: Mapping[str, Any]) -> None:
        with self._turn() as t:
            row = self._still_mine(t)
            if self.operation.record is not None:
                self.operation.record(call, result)
            engine.succeed(t, row, result)

    @contextmanager
    def _outcome(self, *, worked: bool) -> Iterator[None]:
        """What goes wrong in here is the attempt's outcome."""
        try:
            yield
        except (Ignore, *DATABASE_AWAY):
            raise  # not recorded: unknown, and the lease's end will bring it back
        except SoftTimeLimitExceeded as limit:
            lost = AttemptLost(f"Attempt {self.number} was interrupted: it may take {self.step.timeout} s.")
            raise _told(lost, self._fail(lost, worked=worked)) from limit
        except Exception as error:
            raise _told(error, self._fail(error, worked=worked)) from error

    def _fail(self, error: Exception, *, worked: bool) -> float | None:
        with self._turn() as t:
            return engine.fail(t, self._still_mine(t), self.step, error, worked=worked)

    def _still_mine(self, t: Turn) -> SagaStep:
        """The step, if this attempt still holds it: the fence against late and zombie outcomes."""
        row = t.step(self.step.name, self.direction)
        if row is None or row.status != SagaStep.Status.RUNNING or row.attempt != self.number:
            raise Ignore(f"Attempt {self.number} of {self.step.name} came too late: its outcome is refused.")
        return row

    @contextmanager
    def _turn(self) -> Iterator[Turn]:
        with turn(self.saga_id, self.actor) as t:
            if t is None:
                raise NoSuchSaga(f"There is no saga {self.saga_id}.")
            yield t

    def _nothing_to_do(self) -> Ignore:
        return Ignore(
            f"Delivery {self.delivery} of {self.message_id} is consumed, outdated or not wanted any more."
        )

    def _call(self, t: Turn) -> StepCall:
        key = f"{t.saga.id}:{self.step.name}"
        return StepCall(
            saga_id=t.saga.id,
            key=t.saga.key,
            context=t.saga.context,
            idempotency_key=f"{key}:{self.direction}",
            action_key=f"{key}:action",
            attempt=self.number,
            reason=t.saga.reason,
        )


def _told(error: Exception, delay: float | None) -> Exception:
    """What Celery is told: RETRY while the step is tried again, else the error itself."""
    return error if delay is None else Retry(exc=error, when=delay)


def _as_id(saga_id: object) -> UUID:
    try:
        return UUID(str(saga_id))
    except ValueError:
        raise NoSuchSaga(f"There is no saga {saga_id!r}: a command names its saga's id, a UUID.") from None
