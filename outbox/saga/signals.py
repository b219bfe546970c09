"""Outside events that steps wait for: kept as rows, taken once, whenever they come."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from outbox.publish import send_command
from outbox.saga import engine
from outbox.saga.definition import SagaDefinition
from outbox.saga.exceptions import UnknownEvent, WrongResult
from outbox.saga.registry import definition_of
from outbox.saga.steps import Step
from outbox.saga.store import Signal, store
from outbox.saga.turn import turn

DELIVER = "outbox.saga.deliver_signals"
LONGEST_ID = 200


class Received(StrEnum):
    """What became of a signal."""

    DELIVERED = "delivered"
    """A step that waited for it has taken it."""
    KEPT = "kept"
    """No step waits for it yet: one that does will take it."""
    DUPLICATE = "duplicate"
    """It was received before: nothing was done."""


def signal(
    definition: str, key: str, event: str, payload: Any = None, *, signal_id: str, actor: str = ""
) -> Received:
    """Tell a saga of an outside event, in the caller's transaction.

    It may come before a step waits for it, or before the saga is there: then it is kept. It never waits for a saga
    that is at work right now: then a message of this transaction brings it.

    Args:
        definition: the saga's definition.
        key: the business thing that the saga works on.
        event: such as ``carrier.picked_up``.
        payload: JSON values; the result of the step that waits. Checked against the type that the step declares.
        signal_id: the sender's id of this very event: the same again does nothing.
        actor: who told it, for the history.

    Raises:
        PublishOutsideTransaction: no transaction is open.
        UnknownSaga, UnknownEvent: nothing here waits for such an event.
        WrongResult: the payload is not what the step declares.
        ValueError: the id is empty or too long.

    Not guaranteed: any order between different events.
    """
    store().require_transaction(f"The signal {event}")
    if not 0 < len(signal_id) <= LONGEST_ID:
        raise ValueError(f"A signal needs an id of 1 to {LONGEST_ID} characters: its sender's own.")
    _check(definition_of(definition), event, payload)
    if not store().keep_signal(definition, key, event, Signal(signal_id, payload)):
        return Received.DUPLICATE
    saga_id = store().saga_of(definition, key)
    if saga_id is None:
        return Received.KEPT
    with turn(saga_id, actor or event, skip_locked=True) as t:
        if t is not None:
            return Received.DELIVERED if engine.deliver_signals(t) else Received.KEPT
    send_command(DELIVER, {"saga": str(saga_id), "key": key}, correlation_id=key)
    return Received.KEPT


def deliver(saga_id: UUID) -> None:
    """Give a saga the events that are kept for it."""
    with turn(saga_id, "signal") as t:
        if t is not None:
            engine.deliver_signals(t)


def _check(definition: SagaDefinition, event: str, payload: Any) -> None:
    waiting = definition.waits_for(event)
    if not waiting:
        events = [step.waits_for for step in definition.steps if step.waits_for]
        close = difflib.get_close_matches(event, events, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownEvent(f"No step of the saga {definition.name!r} waits for {event!r}.{hint}")
    for kind in _types(waiting):
        try:
            kind.validate_python(payload)
        except ValidationError as error:
            raise WrongResult(f"The payload of {event!r} is not what the step declares: {error}") from None


def _types(steps: Iterable[Step]) -> list[TypeAdapter[Any]]:
    return [step.result_type for step in steps if step.result_type]
