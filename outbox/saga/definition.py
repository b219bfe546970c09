"""What a saga is: a list of steps, each an action and its compensation, declared once and checked at boot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from outbox.backoff import RetryPolicy
from outbox.exceptions import OutboxError
from outbox.saga.exceptions import UnknownSaga

USUAL = RetryPolicy()
"""For actions: eight attempts in some minutes."""

LONGER = RetryPolicy(max_attempts=20, initial=1.0, cap=600.0)
"""For compensations: giving up on an undo needs a person, so it is tried longer."""


@dataclass(frozen=True)
class StepCall:
    """What an action or a compensation is told.

    Args:
        saga_id: the running saga.
        key: the business thing it works on, such as an order's id.
        context: the result of each step that succeeded, by its name.
        idempotency_key: to be handed to whatever acts outside; the same on every attempt.
        action_key: the idempotency key of the step's action (in a compensation: of what is to be undone).
        attempt: the number of this attempt, from 1. It goes on counting after a person resumed the saga.
        reason: why the saga compensates; empty in an action.
    """

    saga_id: UUID
    key: str
    context: Mapping[str, Any]
    idempotency_key: str
    action_key: str
    attempt: int
    reason: str = ""


Work = Callable[[StepCall], Mapping[str, Any] | None]
Record = Callable[[StepCall, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Operation:
    """One direction of a step. Make it with :func:`local` or :func:`remote`."""

    work: Work
    record: Record | None
    is_local: bool

    @property
    def name(self) -> str:
        """The name of its function: the last part of the task's name."""
        return self.work.__name__


def local(work: Work) -> Operation:
    """Work in our own database: it runs in the transaction that records it, so it happens exactly with its record."""
    return Operation(work, None, is_local=True)


def remote(work: Work, record: Record | None = None) -> Operation:
    """Work that calls outside, in no transaction, with an idempotency key.

    Args:
        work: makes the call and returns what is to be kept of the answer. It may run more than once.
        record: writes the answer down, in the transaction that records the step's success. It takes effect once.
    """
    return Operation(work, record, is_local=False)


@dataclass(frozen=True)
class Step:
    """One unit of a saga.

    Args:
        name: such as ``payment``.
        action: what it does.
        compensation: its semantic undo, which must also succeed when the action never happened.
        queue: the Celery queue of both.
        timeout: seconds that an attempt may take; then its lease is over and it counts as dead. Remote work is
            interrupted then (where the worker's pool can do that: prefork), and killed some seconds later.
        retry: when the action is tried again.
        compensation_retry: the same for the compensation; longer, because its end is a person's desk.
        non_retryable: errors of the work that say for certain that this attempt did not act and that no other
            will. Raised by ``record`` they say nothing: the work was done.
        pivot: from this step's success on there is no way back.
    """

    name: str
    action: Operation
    compensation: Operation | None = None
    queue: str = "default"
    timeout: float = 30.0
    retry: RetryPolicy = USUAL
    compensation_retry: RetryPolicy = LONGER
    non_retryable: tuple[type[Exception], ...] = ()
    pivot: bool = False

    def operation(self, direction: str) -> Operation:
        """The action or the compensation."""
        if direction == "action":
            return self.action
        if self.compensation is None:
            raise OutboxError(f"The step {self.name!r} has no compensation.")
        return self.compensation

    def policy(self, direction: str) -> RetryPolicy:
        """The retry policy of that direction."""
        return self.retry if direction == "action" else self.compensation_retry


Hook = Callable[[UUID, str, str], None]


def _nothing(saga_id: UUID, key: str, reason: str) -> None:
    """No hook."""


@dataclass(frozen=True)
class SagaDefinition:
    """A saga: declared once, at import, in a module named ``sagas`` (or imported by one).

    Args:
        name: such as ``orders.fulfilment``; tasks are called ``orders.<step>.<function>``.
        steps: in their order.
        deadline: seconds after which the watchdog compensates (before the pivot) or parks the saga.
        unexplained: the reason of a saga that compensates because of an error without words for people (its
            ``public_reason``); the error itself stands with the step.
        on_compensating, on_completed, on_compensated, on_parked: called with saga id, key and reason, in the
            transaction of the transition.
        version: raised when steps change in a way that running sagas would notice.
    """

    name: str
    steps: Sequence[Step]
    deadline: float = 24 * 3600.0
    unexplained: str = "An error occurred."
    on_compensating: Hook = _nothing
    on_completed: Hook = _nothing
    on_compensated: Hook = _nothing
    on_parked: Hook = _nothing
    version: int = 1
    by_name: Mapping[str, Step] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {step.name: step for step in self.steps})
        if problems := list(self._problems()):
            raise OutboxError(f"The saga {self.name!r} cannot work: {' '.join(problems)}")

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises:
            UnknownSaga: the definition has none (any more).
        """
        try:
            return self.by_name[name]
        except KeyError:
            raise UnknownSaga(f"The saga {self.name!r} has no step {name!r} in this process.") from None

    def task_name(self, step: Step, direction: str) -> str:
        """The Celery task of a step's direction, such as ``orders.payment.charge``."""
        return f"{self.name.split('.')[0]}.{step.name}.{step.operation(direction).name}"

    def position(self, step: Step) -> int:
        """Where in the order the step stands, from 0."""
        return list(self.steps).index(step)

    def after(self, step: Step) -> Step | None:
        """The step that follows, or ``None`` after the last."""
        following = self.position(step) + 1
        return self.steps[following] if following < len(self.steps) else None

    def _problems(self) -> list[str]:
        problems = [] if self.steps else ["It has no steps."]
        if len(self.by_name) != len(self.steps):
            problems.append("Two of its steps have the same name.")
        pivots = [position for position, step in enumerate(self.steps) if step.pivot]
        if len(pivots) > 1:
            problems.append("It has more than one pivot.")
        last = pivots[0] if pivots else len(self.steps)
        problems += [
            f"The step {step.name!r} comes before the pivot and has no compensation."
            for step in self.steps[:last]
            if step.compensation is None
        ]
        return problems
