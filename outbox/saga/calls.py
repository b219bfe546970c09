"""What a step's functions are told, and what they may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter


def _nothing_to_extend() -> None:
    """A local step and a compensation called by hand have no lease."""


@dataclass(frozen=True)
class StepCall:
    """What an action, a compensation or a ``reconcile`` is told.

    Args:
        saga_id: the running saga.
        key: the business thing it works on, such as an order's id.
        context: the result of each step that succeeded, by its name, as JSON values.
        idempotency_key: to be handed to whatever acts outside; the same on every attempt.
        action_key: the idempotency key of the step's action (in a compensation: of what is to be undone).
        attempt: the number of this attempt, from 1. It goes on counting after a person resumed the saga.
        reason: why the saga compensates; empty in an action.
        types: the declared types of results, by step.
        extend: extends the attempt's lease; call it through :meth:`heartbeat`.
    """

    saga_id: UUID
    key: str
    context: Mapping[str, Any]
    idempotency_key: str
    action_key: str
    attempt: int
    reason: str = ""
    types: Mapping[str, TypeAdapter[Any]] = field(default_factory=dict, repr=False, compare=False)
    extend: Callable[[], None] = field(default=_nothing_to_extend, repr=False, compare=False)

    def result(self, step: str) -> Any:
        """The result of a step that succeeded, as the type that the step declares (or as JSON values).

        Raises:
            KeyError: the step has no result: it was skipped, or has not succeeded.
            pydantic.ValidationError: it is not of the declared type (any more).
        """
        value = self.context[step]
        return self.types[step].validate_python(value) if step in self.types else value

    def heartbeat(self) -> None:
        """Say that the attempt is alive: its lease starts again, as the step's ``heartbeat`` declares.

        Raises:
            AttemptLost: the attempt is over: its lease ran out and another took its place, or its time-out has come.
                Stop working: whatever it still does is not recorded.
        """
        self.extend()


@dataclass(frozen=True)
class Happened:
    """An answer of ``reconcile``: the effect took place; ``result`` is what the work would have returned."""

    result: Any = None


class Verdict(Enum):
    """The other answers of ``reconcile``."""

    DID_NOT_HAPPEN = "It did not happen, and no request that may still be on its way can make it happen."
    NOT_KNOWN = "Nobody can tell, or not yet."


DID_NOT_HAPPEN = Verdict.DID_NOT_HAPPEN
NOT_KNOWN = Verdict.NOT_KNOWN

Work = Callable[[StepCall], Any]
Record = Callable[[StepCall, Any], None]
Reconcile = Callable[[StepCall], Happened | Verdict]
