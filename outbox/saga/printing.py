"""Sagas as texts and as JSON, for the command line and for programs."""

from __future__ import annotations

from typing import Any

from outbox.saga.models import Saga, SagaStep, SagaTransition


def line(saga: Saga) -> str:
    """A saga in one line."""
    held = ", paused" if saga.paused_at else ""
    why = saga.attention or saga.reason
    return f"{saga.id}  {saga.definition} {saga.key}  {saga.status}{held}" + (f"  ({why})" if why else "")


def told(saga: Saga) -> str:
    """A saga with its steps and its history."""
    lines = [
        line(saga),
        f"version {saga.version}, started {saga.started_at:%Y-%m-%d %H:%M:%S %Z}",
        "",
        "Steps",
    ]
    lines += [_step_line(row) for row in saga.steps.all()]
    lines += ["", "History", *(_transition_line(entry) for entry in saga.transitions.all())]
    return "\n".join(lines)


def as_json(saga: Saga, *, whole: bool = False) -> dict[str, Any]:
    """A saga as JSON values; ``whole``: with its context, its steps and its history."""
    names = ("definition", "version", "key", "status", "reason", "attention", "cancel_requested")
    times = ("started_at", "deadline_at", "ended_at", "paused_at")
    told = {"id": str(saga.id), **{n: getattr(saga, n) for n in names}, **{n: _time(saga, n) for n in times}}
    if whole:
        told["context"] = saga.context
        told["steps"] = [_step_json(row) for row in saga.steps.all()]
        told["history"] = [_transition_json(entry) for entry in saga.transitions.all()]
    return told


def _step_line(row: SagaStep) -> str:
    tries = f"{row.attempt} attempt{'' if row.attempt == 1 else 's'}"
    error = f"  {row.last_error}" if row.last_error and row.status != SagaStep.Status.SUCCEEDED else ""
    return f"  {row.name:20} {row.direction:13} {row.status:10} {tries}{error}"


def _transition_line(entry: SagaTransition) -> str:
    step = f"{entry.step} ({entry.direction})" if entry.step else ""
    number = f" #{entry.attempt}" if entry.attempt else ""
    parts = [
        f"  {entry.at:%H:%M:%S.%f}"[:-3],
        f"{entry.what}{number}",
        step,
        entry.actor and f"by {entry.actor}",
    ]
    return "  ".join(part for part in [*parts, entry.detail] if part)


def _step_json(row: SagaStep) -> dict[str, Any]:
    names = ("name", "direction", "position", "status", "attempt", "tries", "may_have_happened", "event")
    more = ("result", "last_error", "duplicates_refused", "outcomes_refused")
    times = ("scheduled_at", "started_at", "locked_until", "ended_at")
    message = str(row.message_id) if row.message_id else None
    values = {name: getattr(row, name) for name in (*names, *more)}
    return {**values, **{name: _time(row, name) for name in times}, "message_id": message}


def _transition_json(entry: SagaTransition) -> dict[str, Any]:
    names = ("number", "what", "step", "direction", "attempt", "actor", "detail", "traceparent")
    return {"at": _time(entry, "at"), **{name: getattr(entry, name) for name in names}}


def _time(row: Any, name: str) -> str | None:
    value = getattr(row, name)
    return value.isoformat() if value else None
