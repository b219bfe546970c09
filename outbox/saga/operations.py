"""What people do with sagas: each is one transaction, with who and why in the history.

All of them join the caller's transaction, if there is one, and refuse in words what the saga's state does not allow;
then nothing was changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from outbox.saga import engine
from outbox.saga.compensating import CURRENT, is_past_pivot, stuck_rows
from outbox.saga.exceptions import SagaRefused, UnknownSaga, UnknownVersion, WrongResult
from outbox.saga.models import Saga, SagaStep
from outbox.saga.store import FromNow
from outbox.saga.turn import Turn, turn
from outbox.wording import describe

Status = SagaStep.Status


def cancel(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Call a saga off: what was done is compensated in reverse order.

    Steps that are at work right now end first. One that is being called off already stays as it is.

    Raises:
        SagaRefused: the pivot is done, or the saga is not running or not known here.
    """
    with _operating(saga_id, actor) as t:
        if t is not None and (t.saga.cancel_requested or t.saga.status == Saga.Status.COMPENSATING):
            return
        if t is None or not engine.call_off_saga(t, reason):
            raise SagaRefused(_("It can no longer be cancelled."))


def resume(saga_id: UUID, *, actor: str, reason: str, step: str = "") -> None:
    """Let a parked saga go on where it stopped: its steps are tried again with the same idempotency keys.

    They get a fresh set of tries, and the saga a fresh deadline.

    Args:
        step: go on from this step instead: those before it that are not done are skipped. It must not be done
            itself: doing it again could act twice.

    Raises:
        SagaRefused: the saga is not parked, or not known here, or cannot go on from that step.
        ValueError: no reason was given.
    """
    why = _reason(reason, "the saga is resumed")
    with _operating(saga_id, actor) as t:
        if t is None or t.saga.status != Saga.Status.NEEDS_ATTENTION:
            raise SagaRefused(_("Only a saga that needs attention can be resumed."))
        if step:
            _pass_over_until(t, step, why)
        rows = _stopped(t)
        for row in rows:
            t.note("resumed", row, why)
        if not rows:
            t.note("resumed", detail=why)
        _go_on(t, rows)


def retry_now(saga_id: UUID, *, actor: str, reason: str, step: str = "") -> None:
    """Do not wait for the next attempt: steps that are to be tried again are due now. A parked saga is resumed.

    Args:
        step: only this one.

    Raises:
        SagaRefused: nothing of the saga waits for another attempt.
        ValueError: no reason was given.
    """
    why = _reason(reason, "the step is tried again")
    with _operating(saga_id, actor) as t:
        if t is not None and t.saga.status == Saga.Status.NEEDS_ATTENTION:
            rows = [row for row in _stopped(t) if step in ("", row.name)]
            _refuse_if(not rows, _("It has no such step that could be tried again."))
            for row in rows:
                t.note("retry now", row, why)
            _go_on(t, rows)
            return
        waiting = [] if t is None or t.saga.status not in CURRENT else t.rows
        waiting = [row for row in waiting if row.status == Status.SCHEDULED and step in ("", row.name)]
        if t is None or not waiting:
            raise SagaRefused(_("No step of it waits for another attempt."))
        for row in waiting:
            t.rearm(row, 0)
            t.note("retry now", row, why)


def skip(saga_id: UUID, step: str, *, actor: str, reason: str) -> None:
    """Pass over a step that has stopped, is to be tried again, or waits: it counts as done, without a result.

    A step that may have happened is still undone, if the saga turns back. Skipping an undo says that somebody has
    undone it by hand.

    Raises:
        SagaRefused: the step is at work, was not reached, or is done.
        ValueError: no reason was given.
    """
    why = _reason(reason, "the step is skipped")
    with _operating(saga_id, actor) as taken:
        t, row = _of(taken, step)
        _refuse_if(
            row.status == Status.RUNNING, _("It is at work right now: wait for its end, or pause the saga.")
        )
        _skip(t, row, why)
        _go_on_if_free(t)


def mark_done(saga_id: UUID, step: str, result: Any = None, *, actor: str, reason: str) -> None:
    """Say that a step is done, as somebody has seen to it or found out: with the result that its work would have had.

    What the step's remote work would have recorded is recorded. An attempt at work loses its hold.

    Raises:
        SagaRefused: the step was not reached, or is done, or the result is not what it declares.
        ValueError: no reason was given.
    """
    why = _reason(reason, "the step is marked as done")
    with _operating(saga_id, actor) as taken:
        t, row = _of(taken, step)
        declared = t.definition.step(row.name)
        kept = result or {}
        try:
            engine.checked(declared, row, kept)
        except WrongResult as error:
            raise SagaRefused(str(error)) from None
        if row.status == Status.SCHEDULED:
            t.call_off(row, f"Marked as done: {why}")
        t.note("marked as done", row, why)
        record = None if declared.waits_for else declared.operation(row.direction).record
        if record is not None:
            record(t.call(row), kept)
        engine.succeed(t, row, kept)
        _go_on_if_free(t)


def compensate_now(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Turn a saga back, also one that is parked: what happened is undone, as soon as nothing is at work any more.

    Raises:
        SagaRefused: its pivot is done, or it has ended.
        ValueError: no reason was given.
    """
    why = _reason(reason, "the saga is compensated")
    with _operating(saga_id, actor) as t:
        if t is None or t.saga.status in Saga.ENDED:
            raise SagaRefused(_("It has ended."))
        if t.saga.status == Saga.Status.COMPENSATING or t.steps("compensation"):
            raise SagaRefused(
                _("It is on its way back already. Retry or resume the step that it stopped at.")
            )
        _refuse_if(is_past_pivot(t), _("Its pivot is done: there is no way back."))
        if t.saga.status == Saga.Status.NEEDS_ATTENTION:
            t.update(status=Saga.Status.RUNNING, attention="", deadline_at=FromNow(t.definition.deadline))
        _refuse_if(not engine.call_off_saga(t, why), _("There is no way back."))
        _refuse_if(
            t.saga.status == Saga.Status.NEEDS_ATTENTION,
            _("A step that may have happened has no undo. Mark it as done or skip it, and resume the saga."),
        )


def pause(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Hold a saga: attempts at work end, and nothing begins until it goes on. Its time does not run meanwhile.

    Raises:
        SagaRefused: it is held already, or has ended.
        ValueError: no reason was given.
    """
    why = _reason(reason, "the saga is paused")
    with _operating(saga_id, actor) as t:
        if t is None or t.saga.status in Saga.ENDED:
            raise SagaRefused(_("It has ended."))
        _refuse_if(t.saga.paused_at is not None, _("It is paused already."))
        t.update(paused_at=FromNow(0))
        t.note("paused", detail=why)


def unpause(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Let a paused saga go on: what was held begins, and its deadline and its waits are as far away as they were.

    Raises:
        SagaRefused: it is not paused.
        ValueError: no reason was given.
    """
    why = _reason(reason, "the saga goes on")
    with _operating(saga_id, actor) as t:
        if t is None or t.saga.paused_at is None:
            raise SagaRefused(_("It is not paused."))
        paused = t.now - t.saga.paused_at
        t.update(paused_at=None, deadline_at=t.saga.deadline_at + paused)
        for row in t.rows:
            if row.status == Status.WAITING and row.locked_until:
                t.change(row, locked_until=row.locked_until + paused)
        t.note("unpaused", detail=why)
        if not t.is_paused:
            engine.release(t)


def stopped_at(t: Turn) -> SagaStep:
    """The step that a parked saga stopped at: the latest that was reached and did not succeed."""
    rows = _stopped(t)
    if not rows:
        raise SagaRefused(_("It has no step that could be tried again."))
    return rows[-1]


def _stopped(t: Turn) -> list[SagaStep]:
    """The steps that a parked saga is to go on with, of the way that it is on."""
    direction = "compensation" if t.steps("compensation") else "action"
    ended = (Status.SUCCEEDED, Status.SKIPPED, *([Status.CANCELLED] if t.saga.cancel_requested else []))
    return [row for row in t.steps(direction) if row.status not in ended]


def _go_on(t: Turn, rows: list[SagaStep]) -> None:
    is_back = bool(t.steps("compensation"))
    t.update(
        status=Saga.Status.COMPENSATING if is_back else Saga.Status.RUNNING,
        attention="",
        deadline_at=FromNow(t.definition.deadline),
    )
    if not (is_back or t.saga.cancel_requested):
        t.update(reason="")
    for row in rows:
        engine.reopen(t, row)
    engine.advance(t)
    engine.deliver_signals(t)


def _go_on_if_free(t: Turn) -> None:
    """After a step was seen to: a parked saga goes on, unless another step of it has stopped, too."""
    if t.saga.status in CURRENT:
        engine.advance(t)
    elif t.saga.status == Saga.Status.NEEDS_ATTENTION:
        direction = "compensation" if t.steps("compensation") else "action"
        if not stuck_rows(t, direction):
            _go_on(t, _stopped(t))


def _skip(t: Turn, row: SagaStep, why: str) -> None:
    if row.status == Status.SCHEDULED:
        t.call_off(row, f"Skipped: {why}")
    engine.end(t, row, Status.SKIPPED, asking=False, held=False)
    t.note("skipped", row, why)


def _pass_over_until(t: Turn, step: str, why: str) -> None:
    """Skip what stands before a step, and reach it if it was not yet."""
    _refuse_if(
        bool(t.steps("compensation")), _("It is on its way back: resume it, or skip the undo that stopped.")
    )
    target = t.definition.by_name.get(step)
    if target is None:
        known = ", ".join(t.definition.by_name)
        raise SagaRefused(
            _("It has no step '%(step)s'. Its steps: %(known)s.") % {"step": step, "known": known}
        )
    row = t.step(step, "action")
    if row is not None and row.status in engine.DONE:
        raise SagaRefused(_("The step '%(step)s' is done: doing it again could act twice.") % {"step": step})
    place = t.definition.position(target)
    for stage in t.definition.stages[:place]:
        for before in stage:
            reached = t.step(before.name, "action")
            if reached is None:
                t.note("passed over", detail=f"{before.name}: {why}")
            elif reached.status not in engine.DONE:
                why_not = _("The step '%(step)s' is at work.") % {"step": before.name}
                _refuse_if(reached.status == Status.RUNNING, why_not)
                _skip(t, reached, why)
    if row is None:
        engine.open_stage(t, t.definition.stages[place])


def _of(t: Turn | None, step: str) -> tuple[Turn, SagaStep]:
    """The step's row that a person means: its undo, once that was reached."""
    if t is None or t.saga.status in Saga.ENDED:
        raise SagaRefused(_("The saga has ended, or is not there."))
    row = t.step(step, "compensation") or t.step(step, "action")
    if row is None:
        known = ", ".join(dict.fromkeys(row.name for row in t.rows)) or _("none")
        raise SagaRefused(
            _("It has not reached a step '%(step)s'. Reached so far: %(known)s.")
            % {"step": step, "known": known}
        )
    is_back = t.saga.status == Saga.Status.COMPENSATING or bool(t.steps("compensation"))
    _refuse_if(
        is_back and row.direction == "action",
        _("The saga is on its way back: only its undos can be seen to."),
    )
    _refuse_if(row.status in engine.DONE, _("The step '%(step)s' is done.") % {"step": step})
    _refuse_if(row.status == Status.CANCELLED, _("The step '%(step)s' was called off.") % {"step": step})
    return t, row


def _refuse_if(condition: bool, why: str) -> None:
    if condition:
        raise SagaRefused(why)


def _reason(reason: str, what: str) -> str:
    if not reason.strip():
        raise ValueError(f"Say why {what}: the reason is kept in its history.")
    return describe(reason)


@contextmanager
def _operating(saga_id: UUID, actor: str) -> Iterator[Turn | None]:
    """A turn for a person: a saga whose definition is gone is refused in words."""
    try:
        with turn(saga_id, actor) as t:
            yield t
    except (UnknownSaga, UnknownVersion) as error:
        raise SagaRefused(
            _("Nothing can be done with it as long as its definition is missing. %(error)s")
            % {"error": error}
        ) from error
