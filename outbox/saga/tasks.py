"""The Celery tasks of sagas: one for each step and direction, and the watchdog's."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from outbox.backoff import FOREVER
from outbox.celery import DurableTask
from outbox.saga import registry
from outbox.saga.definition import Operation, SagaDefinition, Step
from outbox.saga.execution import perform
from outbox.saga.watchdog import sweep
from outbox.tasks import DispatchTask

KILL_AFTER = 10.0
"""Seconds that an attempt has to write down that it was interrupted, before its process is killed."""


def register(definition: SagaDefinition) -> SagaDefinition:
    """Make a saga known to this process: its definition, and a Celery task for each step and direction.

    Call it once, at import, in a module that every process loads.

    Raises:
        SagaError: another definition has the name.
    """
    registry.add(definition)
    for step in definition.steps:
        _make_task(definition, step, "action")
        if step.compensation is not None:
            _make_task(definition, step, "compensation")
    return definition


@shared_task(base=DispatchTask, name="outbox.saga.sweep")  # type: ignore[untyped-decorator]
def sweep_sagas() -> dict[str, int]:
    """The watchdog's round, from beat. Any number of these may run at once."""
    return sweep()._asdict()


def _make_task(definition: SagaDefinition, step: Step, direction: str) -> None:
    operation = step.operation(direction)

    def run(task: Any, *, saga: str, key: str) -> Any:  # noqa: ARG001  (the key is there to be read in Flower)
        return perform(task, definition, step, direction, saga)

    run.__doc__ = operation.work.__doc__
    shared_task(
        bind=True,
        name=definition.task_name(step, direction),
        base=DurableTask,
        consumption="manual",  # consumed in the transaction that begins the attempt
        delivery_retry=FOREVER,  # how often a step is tried is the saga's decision
        home_queue=step.queue,
        throws=step.non_retryable,  # expected outcomes: logged without a traceback
        typing=False,
        **_time_limits(step, operation),
    )(run)


def _time_limits(step: Step, operation: Operation) -> dict[str, float]:
    """What ends an attempt that hangs. A local one waits for nothing but the database, which has limits of its own."""
    if operation.is_local:
        return {}
    return {"soft_time_limit": step.timeout, "time_limit": step.timeout + KILL_AFTER}
