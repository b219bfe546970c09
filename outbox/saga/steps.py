"""The steps that a saga is made of: work with its undo, side by side where declared, and waits for outside events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from outbox.backoff import RetryPolicy
from outbox.exceptions import OutboxError
from outbox.saga.calls import Reconcile, Record, Work

if TYPE_CHECKING:
    from outbox.saga.dependencies.declaration import Dependency

USUAL = RetryPolicy()
"""For actions: eight attempts in some minutes."""

LONGER = RetryPolicy(max_attempts=20, initial=1.0, cap=600.0)
"""For compensations: giving up on an undo needs a person, so it is tried longer."""


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
        action: what it does. (A wait has none: see :func:`wait_for`.)
        compensation: its semantic undo, which must also succeed when the action never happened.
        queue: the Celery queue of both.
        timeout: seconds that an attempt may take; then its lease is over and it counts as dead. Remote work is
            interrupted then (where the worker's pool can do that: prefork), and killed some seconds later.
        heartbeat: for long work that calls :meth:`StepCall.heartbeat`: seconds of its lease, which each call starts
            again; a dead worker is noticed after so long, however long the time-out is.
        retry: when the action is tried again.
        compensation_retry: the same for the compensation; longer, because its end is a person's desk.
        non_retryable: errors of the work that say for certain that this attempt did not act and that no other
            will. Raised by ``record`` they say nothing: the work was done. (An error with the attribute
            ``may_have_happened = False``, such as a refused connection, says only the first, and is tried again.)
        reconcile: asks the outside world what it knows of the action, after an attempt without an answer: before
            it is tried again, and before it is given up. Called in no transaction.
        result: the type of the action's result, such as a dataclass; checked before it is recorded.
        dependency: the outside service that both directions call.
        pivot: from this step's success on there is no way back.
        waits_for, on_timeout: of a wait; see :func:`wait_for`.
        group: the names of the steps beside it; see :func:`parallel`.
    """

    name: str
    action: Operation | None = None
    compensation: Operation | None = None
    queue: str = "default"
    timeout: float = 30.0
    heartbeat: float | None = None
    retry: RetryPolicy = USUAL
    compensation_retry: RetryPolicy = LONGER
    non_retryable: tuple[type[Exception], ...] = ()
    reconcile: Reconcile | None = None
    result: Any = None
    dependency: Dependency | None = None
    pivot: bool = False
    waits_for: str = ""
    on_timeout: Literal["compensate", "go on"] = "compensate"
    group: tuple[str, ...] = ()

    def operation(self, direction: str) -> Operation:
        """The action or the compensation.

        Raises:
            OutboxError: the step has none.
        """
        operation = self.action if direction == "action" else self.compensation
        if operation is None:
            raise OutboxError(f"The step {self.name!r} has no {direction}.")
        return operation

    def policy(self, direction: str) -> RetryPolicy:
        """The retry policy of that direction."""
        return self.retry if direction == "action" else self.compensation_retry

    @property
    def lease(self) -> float:
        """Seconds until an attempt that gives no sign of life counts as dead."""
        return self.timeout if self.heartbeat is None else min(self.heartbeat, self.timeout)

    @cached_property
    def result_type(self) -> TypeAdapter[Any] | None:
        """What checks its result, where it declares a type."""
        return None if self.result is None else TypeAdapter(self.result)

    def problems(self) -> Iterator[str]:
        """What cannot work, as sentences."""
        if bool(self.action) == bool(self.waits_for):
            yield f"The step {self.name!r} needs an action, or an event to wait for (and not both)."
        if self.action and self.compensation and self.action.name == self.compensation.name:
            yield f"The step {self.name!r} calls its action and its compensation both {self.action.name!r}."
        if self.reconcile and (self.action is None or self.action.is_local):
            yield f"The step {self.name!r} has a reconcile, which only remote work needs."
        if self.timeout <= 0 or (self.heartbeat is not None and self.heartbeat <= 0):
            yield f"The step {self.name!r} needs a time-out (and heartbeat) above zero seconds."


def wait_for(
    event: str,
    *,
    timeout: float,
    name: str = "",
    on_timeout: Literal["compensate", "go on"] = "compensate",
    result: Any = None,
) -> Step:
    """A step that waits for an outside event, told with :func:`outbox.saga.api.signal`.

    The signal may come before the wait, and twice (its id tells). Its payload becomes the step's result.

    Args:
        event: such as ``carrier.picked_up``.
        timeout: seconds after which the wait is over, by the database's clock.
        name: of the step; by default the event.
        on_timeout: ``compensate`` counts a wait that is over as failed (past the pivot: parks the saga); ``go on``
            skips it, and its result is ``{"timed_out": True}``.
        result: the type of the payload.
    """
    return Step(name or event, waits_for=event, timeout=timeout, on_timeout=on_timeout, result=result)


def parallel(*steps: Step) -> tuple[Step, ...]:
    """Steps that run side by side: ``steps=[reserve, *parallel(charge, print_label), ship]``.

    What follows begins when all of them have succeeded. When one fails, those that have not begun are called off,
    those at work are awaited, and then all that happened is undone, side by side as well.
    """
    return tuple(replace(step, group=tuple(one.name for one in steps)) for step in steps)
