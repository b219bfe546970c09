"""The door between a step and its service: may this attempt begin now?

Asked in the transaction that begins the attempt, under the saga's lock. An attempt that must wait is not begun: no try
is spent, the step stays scheduled, and its message is due again when there may be room.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outbox.saga.dependencies import breaker, limits, waiting
from outbox.saga.dependencies.admission import Admission, GuardedAdmission
from outbox.saga.dependencies.breaker import State, View
from outbox.saga.dependencies.models import DependencyWait
from outbox.saga.exceptions import SagaError
from outbox.saga.models import SagaStep
from outbox.saga.turn import Turn

if TYPE_CHECKING:
    from outbox.saga.calls import StepCall
    from outbox.saga.steps import Step

Reason = DependencyWait.Reason
AT_ONCE = 0.1
"""A turn that comes within so many seconds is taken now: the way through the broker takes longer."""
SLOT_AGAIN = 10.0
"""Seconds after which a step that waits for a slot asks again: whoever should have woken it may have died."""


class ServiceBusy(SagaError):
    """An attempt did not begin: its service is away, or used as hard as it may be. It begins later."""


@dataclass(frozen=True)
class Postponed:
    """An attempt must wait.

    Args:
        reason: what for.
        delay: seconds until the step asks again.
        text: the same for people.
        ticket_in: seconds until the place in the queue that the step holds; ``None`` when it holds none.
    """

    reason: Reason
    delay: float
    text: str
    ticket_in: float | None = None


def ask(t: Turn, row: SagaStep, step: Step, call: StepCall) -> Admission | Postponed:
    """Whether an attempt of a scheduled step may begin now; if not, the step is scheduled for later.

    Call it when nothing else keeps the attempt from beginning, and begin the attempt in the same transaction: slots
    and permits are taken with it.
    """
    dependency = step.dependency
    if dependency is None or step.operation(row.direction).is_local:
        return Admission()
    view = breaker.CALM if t.is_calm else breaker.look(dependency, row.pk)
    admission = GuardedAdmission(dependency, dependency.limits(call), after_failures=view.failures > 0)
    postponed = _wait(view, admission) or _take(view, admission, step.lease)
    if postponed is None:
        if view.waits:
            waiting.forget(row.pk)
        return admission
    _postpone(t, row, admission, view, postponed)
    return postponed


def _wait(view: View, admission: GuardedAdmission) -> Postponed | None:
    """Whether it is worth asking for a slot at all."""
    if view.state == State.OPEN and view.open_for > 0:
        until = f"breaker open until {view.open_until:%H:%M:%S} UTC"
        return _away(admission, view.open_for + view.cooldown * random.uniform(0, 0.5), until)  # noqa: S311
    if view.state == State.HALF_OPEN and view.probe_for > 0:
        return _probe_at_work(view, admission)
    if view.state == State.CLOSED:
        return _turn(view, admission)
    return None


def _turn(view: View, admission: GuardedAdmission) -> Postponed | None:
    """Its place in the queue, on the ramp after a recovery and in the pace of a rate limit: taken once."""
    wait = view.ticket_in
    if wait is None:
        name, bounds = admission.dependency.name, admission.bounds
        ramp = breaker.take_ticket(admission.dependency) if _on_ramp(view, admission) else 0.0
        wait = max(ramp, limits.take_turn(name, bounds))
    if wait <= AT_ONCE:
        return None
    return Postponed(Reason.TURN, wait, f"{admission.dependency.name}: its turn comes in {wait:.1f} s", wait)


def _take(view: View, admission: GuardedAdmission, lease: float) -> Postponed | None:
    """Slots, and the probe's permit where one is needed."""
    dependency, token = admission.dependency, admission.token
    if not limits.take_slots(dependency.name, admission.bounds, token, lease):
        text = f"{dependency.name}: as many attempts are at work as there may be"
        again = SLOT_AGAIN * random.uniform(0.5, 1)  # noqa: S311  (no secret depends on it)
        return Postponed(Reason.SLOT, again, text, view.ticket_in)
    if view.state == State.CLOSED:
        return None
    admission.is_probe = breaker.take_probe(dependency, token, lease)
    if admission.is_probe:
        return None
    limits.release_slots(token)
    return _probe_at_work(view, admission)


def _probe_at_work(view: View, admission: GuardedAdmission) -> Postponed:
    delay = view.cooldown * random.uniform(0.5, 1)  # noqa: S311  (no secret depends on it)
    return _away(admission, delay, "breaker half-open, a probe is at work")


def _away(admission: GuardedAdmission, delay: float, how: str) -> Postponed:
    return Postponed(Reason.AWAY, delay, f"{admission.dependency.name}: {how}")


def _on_ramp(view: View, admission: GuardedAdmission) -> bool:
    return view.closed_for is not None and view.closed_for < admission.dependency.breaker.ramp


def _postpone(t: Turn, row: SagaStep, admission: GuardedAdmission, view: View, postponed: Postponed) -> None:
    """The message is due again later; the history says what for, once for each reason in a row."""
    waiting.note(row.pk, admission.dependency, postponed.reason, postponed.delay, postponed.ticket_in)
    t.rearm(row, postponed.delay)
    if view.reason != postponed.reason:
        t.note("waits", row, f"for {postponed.text}")
