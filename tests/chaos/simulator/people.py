"""People who operate a saga, and who do by hand what they say that they have done."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from outbox.saga import operations
from outbox.saga.definition import SagaDefinition
from outbox.saga.exceptions import SagaRefused
from tests.chaos.simulator.world import NoAnswerError, World


class People:
    """All of them.

    Args:
        dice: all chance comes from here.
        world: what the steps have done; its store has the engine's rows.
        definition: the saga's, at the moment.
        counts: what happened how often.
    """

    def __init__(
        self,
        dice: random.Random,
        world: World,
        definition: Callable[[], SagaDefinition],
        counts: Counter[str],
    ) -> None:
        self.dice, self.world, self.definition, self.counts = dice, world, definition, counts
        self.store = world.store

    def operate(self) -> None:
        """A person does something, possible or not."""
        names = [row["name"] for row in self.store.rows]
        step = self.dice.choice(names) if names else "none"
        calm = [
            self.dice.choice([operations.retry_now, operations.resume, operations.pause, operations.unpause])
        ]
        drastic = [operations.cancel, operations.compensate_now, self.skip, self.mark_done]
        operation = self.dice.choice(calm if self.dice.random() < 0.6 else drastic)
        self.do(operation, step)

    def do(self, operation: Callable[..., Any], *args: str) -> bool:
        """Have it done; whether it was possible."""
        takes_step = operation in (self.skip, self.mark_done)
        try:
            given = args if takes_step else ()
            operation(self.store.saga["id"], *given, actor="olga", reason="so be it")
        except SagaRefused:
            self.counts["operations refused"] += 1
            return False
        except (KeyError, NoAnswerError):  # a bug of a hook or of a record: nothing has happened
            return False
        self.counts[f"operation {operation.__name__}"] += 1
        return True

    def skip(self, saga_id: UUID, step: str, *, actor: str, reason: str) -> None:
        """Undone by hand, where there was something to undo."""
        self._by_hand(
            step, lambda: operations.skip(saga_id, step, actor=actor, reason=reason), state="undone"
        )

    def mark_done(self, saga_id: UUID, step: str, *, actor: str, reason: str) -> None:
        """Done by hand, or undone."""
        done = lambda: operations.mark_done(saga_id, step, {"by": "hand"}, actor=actor, reason=reason)  # noqa: E731
        self._by_hand(step, done, state="live")

    def _by_hand(self, step: str, operation: Callable[[], None], *, state: str) -> None:
        """Somebody undoes it before saying that the undo is skipped or done, or does it before saying so."""
        row = next((r for r in reversed(self.store.rows) if r["name"] == step), None)
        if row is None or self.definition().step(step).waits_for:
            operation()
            return
        is_undo = row["direction"] == "compensation"
        action = self.definition().step(step).action
        key = f"{self.store.saga['id']}:{step}:action"
        with self.store.transaction():
            if is_undo or state == "live":
                self._set_by_hand(
                    key, is_local=bool(action and action.is_local), state="undone" if is_undo else "live"
                )
            operation()

    def _set_by_hand(self, key: str, *, is_local: bool, state: str) -> None:
        before = (dict(self.world.ours), dict(self.world.outside))

        def undo() -> None:
            self.world.ours, self.world.outside = before

        self.store.on_rollback(undo)
        self.world.do_by_hand(key, is_local=is_local, state=state)
