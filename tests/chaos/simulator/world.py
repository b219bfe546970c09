"""The outside world and the application of a simulated saga: what they do is drawn from the schedule's dice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from outbox.saga.calls import DID_NOT_HAPPEN, NOT_KNOWN, Happened, StepCall, Verdict
from tests.chaos.simulator.memory import MemoryStore


class RefusalError(Exception):
    """A certain no."""

    public_reason = "No."


class NoAnswerError(Exception):
    """Nobody knows."""


class Violation(AssertionError):
    """An invariant does not hold."""


class World:
    """A service with idempotency keys, our own tables, and the hooks.

    The service behaves as its kind do: the same key acts once, and an undo keeps a request that is still on its way
    from acting later.
    """

    def __init__(self, dice: random.Random, store: MemoryStore) -> None:
        self.dice = dice
        self.store = store
        self.is_calm = False
        self.outside: dict[str, str] = {}
        self.ours: dict[str, str] = {}
        self.recorded: Counter[str] = Counter()
        self.hooks: list[str] = []
        self.faults: Counter[str] = Counter()

    def act_outside(self, call: StepCall) -> dict[str, Any]:
        """A remote action: refused, or done and answered, or with an answer that gets lost either way."""
        lot = 1.0 if self.is_calm else self.dice.random()
        key, state = call.idempotency_key, self.outside.get(call.idempotency_key)
        if state == "voided" or (state is None and lot < 0.12):
            self._fault("refused")
            raise RefusalError
        if lot < 0.25:
            self._fault("no answer, not done")
            raise NoAnswerError
        if state is None:
            self.outside[key] = "live"
        if lot < 0.4:
            self._fault("done, no answer")
            raise NoAnswerError
        return {"key": key}

    def undo_outside(self, call: StepCall) -> dict[str, Any]:
        """A remote compensation: never refused, often unlucky."""
        lot = 1.0 if self.is_calm else self.dice.random()
        if lot < 0.15:
            self._fault("undo failed")
            raise NoAnswerError
        was = self.outside.get(call.action_key)
        self.outside[call.action_key] = "undone" if was in ("live", "undone") else "voided"
        if lot < 0.25:
            self._fault("undo without answer")
            raise NoAnswerError
        return {}

    def reconcile(self, call: StepCall) -> Happened | Verdict:
        """What the service knows. Only of a key that it has closed can it say that nothing will come of it."""
        if not self.is_calm and self.dice.random() < 0.3:
            self._fault("reconcile failed")
            raise NoAnswerError
        state = self.outside.get(call.idempotency_key)
        if state == "live":
            return Happened({"key": call.idempotency_key})
        return DID_NOT_HAPPEN if state in ("voided", "undone") else NOT_KNOWN

    def act_here(self, call: StepCall) -> dict[str, Any]:
        """A local action: in the transaction, so it is there exactly with its record."""
        lot = 1.0 if self.is_calm else self.dice.random()
        if self.ours.get(call.idempotency_key) == "live":
            raise Violation(f"{call.idempotency_key} takes effect twice.")
        self._set(call.idempotency_key, "live")
        if lot < 0.12:
            self._fault("local error")
            raise RefusalError if lot < 0.05 else NoAnswerError
        return {"key": call.idempotency_key}

    def undo_here(self, call: StepCall) -> dict[str, Any]:
        """A local compensation."""
        if self.ours.get(call.action_key) != "live":
            raise Violation(f"{call.action_key} is undone and was not done: {self.ours.get(call.action_key)}")
        self._set(call.action_key, "undone")
        if not self.is_calm and self.dice.random() < 0.1:
            self._fault("local undo error")
            raise NoAnswerError
        return {}

    def record(self, call: StepCall, result: Any) -> None:
        """What is written down of a remote action's success: once."""
        if self.recorded[call.idempotency_key]:
            raise Violation(f"{call.idempotency_key} is recorded twice.")
        self.recorded[call.idempotency_key] += 1
        self.store.on_rollback(lambda: self.recorded.subtract([call.idempotency_key]))
        if not self.is_calm and self.dice.random() < 0.05:
            self._fault("record failed")
            raise NoAnswerError

    def hook(self, what: str) -> Callable[[UUID, str, str], None]:
        """A hook of the application: in the transaction; one in a while it has a bug."""

        def called(_: UUID, __: str, ___: str) -> None:
            if not self.is_calm and self.dice.random() < 0.03:
                self._fault("hook failed")
                raise KeyError(what)
            self.hooks.append(what)
            self.store.on_rollback(lambda: self.hooks.remove(what))

        return called

    def do_by_hand(self, key: str, *, is_local: bool, state: str) -> None:
        """What a person has seen to, who then says so."""
        (self.ours if is_local else self.outside)[key] = state

    def live(self) -> set[str]:
        """The keys whose effect is there now."""
        return {
            key for states in (self.outside, self.ours) for key, state in states.items() if state == "live"
        }

    def _set(self, key: str, state: str) -> None:
        before = self.ours.get(key, "")
        self.store.on_rollback(lambda: self.ours.__setitem__(key, before))
        self.ours[key] = state

    def _fault(self, what: str) -> None:
        self.faults[what] += 1
