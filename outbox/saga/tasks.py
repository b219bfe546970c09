"""The Celery tasks of sagas: one for each step and direction, the watchdog's, and one for signals."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Retry

from outbox.backoff import FOREVER, RetryPolicy
from outbox.celery import DurableTask, delivery_of
from outbox.exceptions import PermanentError
from outbox.prune import RUN_SECONDS
from outbox.saga import registry, signals
from outbox.saga.definition import SagaDefinition
from outbox.saga.exceptions import UnknownVersion
from outbox.saga.execution import Attempt, Ended, Failed
from outbox.saga.prune import prune, total
from outbox.saga.steps import Step
from outbox.saga.turn import as_saga_id
from outbox.saga.watchdog import sweep
from outbox.tasks import DispatchTask

KILL_AFTER = 10.0
"""Seconds that an attempt has to write down that it was interrupted, before its process is killed."""

DEPLOYING = RetryPolicy(max_attempts=8, initial=2.0, cap=60.0)
"""How often the command of an unknown version is tried again: other processes may have that version already."""

_limits: dict[str, float | None] = {}
"""Time limits by task, in seconds; none for local work, which waits for nothing but the database."""


class StepTask(DurableTask):
    """The task of a step. All versions of a definition share it, where their step and function have the same name."""

    abstract = True
    consumption = "manual"  # consumed in the transaction that begins the attempt
    delivery_retry = FOREVER  # how often a step is tried is the saga's decision
    ignore_result = True  # its result stands with the saga, committed together with what follows
    store_errors_even_if_ignored = True

    @property
    def soft_time_limit(self) -> float | None:
        """Ends an attempt that hangs; the longest of all versions."""
        return _limits.get(self.name)

    @property
    def time_limit(self) -> float | None:
        """Kills one that does not end then."""
        limit = _limits.get(self.name)
        return None if limit is None else limit + KILL_AFTER


def register(definition: SagaDefinition) -> SagaDefinition:
    """Make a saga known to this process: its definition, and a Celery task for each step and direction.

    Call it once for each version, at import, in a module that every process loads.

    Raises:
        SagaError: another definition has the name and the version.
    """
    registry.add(definition)
    for step in definition.steps:
        for direction in ("action", "compensation"):
            if getattr(step, direction) is not None:
                _make_task(definition, step, direction)
    return definition


@shared_task(base=DispatchTask, name="outbox.saga.sweep")  # type: ignore[untyped-decorator]
def sweep_sagas() -> dict[str, int]:
    """The watchdog's round, from beat. Any number of these may run at once."""
    return sweep()._asdict()


@shared_task(base=DispatchTask, name="outbox.saga.prune")  # type: ignore[untyped-decorator]
def prune_sagas() -> dict[str, int]:
    """Delete some of the history of sagas that ended long ago: a little at a time, as the watchdog waits meanwhile."""
    return total(prune(seconds=RUN_SECONDS))._asdict()


@shared_task(  # type: ignore[untyped-decorator]
    base=DurableTask,
    name=signals.DELIVER,
    consumption="transactional",
    delivery_retry=FOREVER,
    ignore_result=True,
)
def deliver_signals(*, saga: str, key: str) -> None:  # noqa: ARG001  (the key is there to be read in Flower)
    """Give a saga the outside events that came while it was at work."""
    signals.deliver(as_saga_id(saga))


def perform(task: DurableTask, saga: object) -> Any:
    """Run one attempt of the step that the task's message is for.

    Args:
        saga: what the command calls the saga. Anybody may have written the command: it is checked here.

    Raises:
        Ignore: the delivery is a duplicate or outdated: nothing was done.
        NoSuchSaga: the command is for no saga that exists: nothing was done.
        Retry: the attempt failed and the step is scheduled again; Celery shows the task as RETRY.
        Exception: the step's final error; the saga has turned back or was parked.
    """
    message_id, delivery = delivery_of(task)
    attempt = Attempt(as_saga_id(saga), message_id, delivery, str(task.request.hostname or ""))
    try:
        outcome = attempt.run()
    except UnknownVersion as error:
        if DEPLOYING.exhausted(delivery):
            raise PermanentError(str(error)) from error
        raise
    if isinstance(outcome, Ended):
        return outcome.result
    if isinstance(outcome, Failed):
        if outcome.delay is None:
            raise outcome.error
        raise Retry(exc=outcome.error, when=outcome.delay) from outcome.error
    raise Ignore(outcome.why)


def _make_task(definition: SagaDefinition, step: Step, direction: str) -> None:
    operation, name = step.operation(direction), definition.task_name(step, direction)
    given = None if operation.is_local else step.timeout
    is_known = name in _limits
    _limits[name] = max(_limits.get(name) or 0.0, given) if given is not None else _limits.get(name)
    if is_known:
        return  # another version's, or another saga's: it runs whatever step its message is for

    def run(task: Any, *, saga: str, key: str) -> Any:  # noqa: ARG001  (the key is there to be read in Flower)
        return perform(task, saga)

    run.__doc__ = operation.work.__doc__
    shared_task(
        bind=True,
        name=name,
        base=StepTask,
        home_queue=step.queue,
        throws=step.non_retryable,  # expected outcomes: logged without a traceback
        typing=False,
    )(run)
