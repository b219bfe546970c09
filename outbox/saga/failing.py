"""A step that fails: tried again, asked about, or given up.

What *may have happened* is compensated: a step that was given up without a clear answer counts as done, also when a
later attempt of it was refused.
"""

from __future__ import annotations

from outbox.backoff import RetryPolicy
from outbox.exceptions import PermanentError
from outbox.saga import compensating, results
from outbox.saga.advancing import advance
from outbox.saga.exceptions import TimedOut
from outbox.saga.models import SagaStep
from outbox.saga.steps import Step
from outbox.saga.turn import Turn
from outbox.wording import describe

Status = SagaStep.Status
ASKING = RetryPolicy(max_attempts=5, initial=1.0, cap=30.0)
"""How often the outside world is asked what became of a step, before it is given up as unknown."""


def fail(
    t: Turn, row: SagaStep, step: Step, error: Exception, *, worked: bool = False, is_clear: bool = False
) -> float | None:
    """An attempt failed: again after a wait (returned, in seconds), or the end of this step (``None``).

    Args:
        error: what was raised. One of the work with an attribute ``may_have_happened`` that is ``False`` says for
            certain that this attempt did not act, and that another may.
        worked: the work itself was done, and its record failed: then no error counts as a refusal.
        is_clear: the outside world has said that no earlier attempt acted, nor will.
    """
    refused = not worked and isinstance(error, (PermanentError, *step.non_retryable))
    if is_clear:
        t.change(row, may_have_happened=False)
    did_nothing = not worked and getattr(error, "may_have_happened", True) is False
    if not (refused or did_nothing or (is_clear and row.asking) or step.operation(row.direction).is_local):
        t.change(row, may_have_happened=True)  # nobody knows what it did; no later refusal takes that back
    policy = ASKING if row.asking else step.policy(row.direction)
    turns_back = row.direction == "action" and compensating.is_turning_back(t)
    if not (refused or turns_back or (is_clear and row.asking) or policy.exhausted(row.tries)):
        return _again(t, row, error, policy.delay(row.tries), "will retry")
    if (
        row.may_have_happened
        and step.reconcile
        and row.direction == "action"
        and not (row.asking or turns_back)
    ):
        _remember(t, error)
        t.change(row, asking=True, tries=0)
        return _again(t, row, error, 0.0, "will ask what became of it")
    _give_up(t, row, error)
    return None


def wait_is_over(t: Turn, row: SagaStep, step: Step) -> None:
    """The event did not come in time: the wait has failed, or is skipped, as the step declares."""
    if step.on_timeout == "go on":
        results.end(t, row, Status.SKIPPED, result={"timed_out": True})
        t.note("timed out", row, "It goes on without the event.")
        results.add_to_context(t, row, {"timed_out": True}, was_asked=False)
        advance(t)
        return
    _give_up(t, row, TimedOut(f"{step.waits_for} did not come within {step.timeout:g} s."))


def _again(t: Turn, row: SagaStep, error: Exception, delay: float, what: str) -> float:
    text = describe(error)
    t.change(row, status=Status.SCHEDULED, locked_until=None, last_error=text)
    t.rearm(row, delay, text)
    t.note(what, row, f"in {delay:.1f} s: {text}")
    return delay


def _give_up(t: Turn, row: SagaStep, error: Exception) -> None:
    """The end of a step without success. Failed says for certain that none of its attempts did anything."""
    text = describe(error)
    status = Status.UNKNOWN if row.may_have_happened else Status.FAILED
    results.end(t, row, status, last_error=text, asking=False)
    t.note("given up" if row.may_have_happened else "failed", row, text)
    if row.direction == "action":
        _remember(t, error)
    advance(t)


def _remember(t: Turn, error: Exception) -> None:
    """Why the saga turns back, if it does: the first reason stands."""
    if not t.saga.reason:
        public_reason = getattr(error, "public_reason", None)
        t.update(reason=describe(str(public_reason or t.definition.unexplained)))
