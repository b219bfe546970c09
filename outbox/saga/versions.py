"""Sagas of older versions: they finish on their own code, or become sagas of the newest version as it declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from outbox.saga.exceptions import SagaError
from outbox.saga.models import Saga, SagaStep

if TYPE_CHECKING:
    from outbox.saga.turn import Turn


class Migrating:
    """A running saga of an older version, in the hands of the function that migrates it.

    The function runs under the saga's lock, in the transaction of whatever happens to it next, and only once. It
    changes :attr:`context` in place, and says which steps have other names. Steps that the new version has before the
    one that the saga has reached are not done any more; those after it are.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.context: dict[str, Any] = dict(turn.saga.context)

    @property
    def key(self) -> str:
        """The business thing that it works on."""
        return self._turn.saga.key

    @property
    def steps(self) -> dict[str, str]:
        """The status of each action that was reached, by step."""
        return {row.name: row.status for row in self._turn.steps("action")}

    def rename(self, old: str, new: str) -> None:
        """A step has another name now. Its idempotency key changes with it, so only one that has ended may be renamed.

        Raises:
            SagaError: an attempt of it may be under way outside, under the old key.
        """
        for row in [row for row in self._turn.rows if row.name == old]:
            if row.attempt and row.status in SagaStep.OPEN:
                raise SagaError(
                    f"The step {old!r} is at work under its old name: it cannot become {new!r} now."
                )
            self._turn.change(row, name=new)
        if old in self.context:
            self.context[new] = self.context.pop(old)


Migration = Callable[[Migrating], None]


def catch_up(t: Turn) -> None:
    """Bring a saga to its definition's version and its context to that of the definition. One that has ended stays."""
    if t.saga.status in Saga.ENDED:
        return
    if t.saga.version != t.definition.version:
        _migrate(t)
    if t.saga.context_version < t.definition.context_version:
        _upgrade(t)


def _migrate(t: Turn) -> None:
    before = t.saga.version
    migrating = Migrating(t)
    t.definition.migrations[before](migrating)
    t.update(version=t.definition.version, context=migrating.context)
    for row in t.rows:
        step = t.definition.step(row.name)  # a step that is neither there nor renamed is an error: it parks
        t.change(row, position=t.definition.position(step))
        if row.status == SagaStep.Status.SCHEDULED:
            t.call_off(row, "Its saga was migrated.")
            t.change(row, message_id=t.command(step, row.direction), held=False)
    t.note("migrated", detail=f"from version {before} to {t.definition.version}")


def _upgrade(t: Turn) -> None:
    context = dict(t.saga.context)
    for version in range(t.saga.context_version, t.definition.context_version):
        if upgrade := t.definition.upgrades.get(version):
            context = upgrade(context)
    t.update(context=context, context_version=t.definition.context_version)
