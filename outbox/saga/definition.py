"""What a saga is: a list of steps, each an action and its compensation, declared once and checked at boot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.translation import gettext as _
from pydantic import TypeAdapter

from outbox.exceptions import OutboxError
from outbox.saga.exceptions import UnknownSaga
from outbox.saga.steps import Step

if TYPE_CHECKING:
    from outbox.saga.versions import Migration

Hook = Callable[[UUID, str, str], None]
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def _nothing(saga_id: UUID, key: str, reason: str) -> None:
    """No hook."""


@dataclass(frozen=True)
class SagaDefinition:
    """A saga: declared once, at import, in a module named ``sagas`` (or imported by one).

    Args:
        name: such as ``orders.fulfilment``; tasks are called ``orders.<step>.<function>``.
        steps: in their order; with ``*parallel(…)`` among them side by side.
        deadline: seconds after which the watchdog compensates (before the pivot) or parks the saga.
        unexplained: the reason of a saga that compensates because of an error without words for people (its
            ``public_reason``); the error itself stands with the step.
        on_compensating, on_completed, on_compensated, on_parked: called with saga id, key and reason, in the
            transaction of the transition.
        version: raised when steps change in a way that running sagas would notice. Register the old version, too,
            as long as sagas of it run, or declare how they are migrated.
        migrations: by version: how a running saga of that version becomes one of this version.
        context_version: raised when the shape of results changes.
        upgrades: by context version: makes the context of the next version out of it.
    """

    name: str
    steps: Sequence[Step]
    deadline: float = 24 * 3600.0
    unexplained: str = "An error occurred."
    on_compensating: Hook = _nothing
    on_completed: Hook = _nothing
    on_compensated: Hook = _nothing
    on_parked: Hook = _nothing
    version: int = 1
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    context_version: int = 1
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)
    by_name: Mapping[str, Step] = field(init=False)
    stages: Sequence[tuple[Step, ...]] = field(init=False)
    types: Mapping[str, TypeAdapter[Any]] = field(init=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "by_name", {step.name: step for step in self.steps})
        stages = groupby(self.steps, key=lambda step: step.group or step.name)
        set_(self, "stages", tuple(tuple(members) for _, members in stages))
        if problems := list(self._problems()):
            raise OutboxError(f"The saga {self.name!r} cannot work: {' '.join(problems)}")
        set_(self, "types", {step.name: step.result_type for step in self.steps if step.result_type})

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises:
            UnknownSaga: the definition has none (any more).
        """
        try:
            return self.by_name[name]
        except KeyError:
            raise UnknownSaga(
                _("The saga '%(saga)s' has no step '%(step)s' in this process.")
                % {"saga": self.name, "step": name}
            ) from None

    def task_name(self, step: Step, direction: str) -> str:
        """The Celery task of a step's direction, such as ``orders.payment.charge``."""
        return f"{self.name.split('.')[0]}.{step.name}.{step.operation(direction).name}"

    def position(self, step: Step) -> int:
        """Where in the order the step stands, from 0. Steps side by side stand at the same place."""
        return next(place for place, stage in enumerate(self.stages) if step.name in {s.name for s in stage})

    def waits_for(self, event: str) -> list[Step]:
        """The steps that wait for that event."""
        return [step for step in self.steps if step.waits_for == event]

    def _problems(self) -> Iterator[str]:
        if not self.steps:
            yield "It has no steps."
        if len(self.by_name) != len(self.steps):
            yield "Two of its steps have the same name."
        for step in self.steps:
            yield from step.problems()
        yield from self._problems_of_the_pivot()
        yield from self._problems_of_versions()

    def _problems_of_the_pivot(self) -> Iterator[str]:
        pivots = [position for position, step in enumerate(self.steps) if step.pivot]
        if len(pivots) > 1:
            yield "It has more than one pivot."
        for step in self.steps[: pivots[0] if pivots else len(self.steps)]:
            if step.compensation is None and not step.waits_for:
                yield f"The step {step.name!r} comes before the pivot and has no compensation."
        for step in self.steps:
            if step.pivot and step.group:
                yield f"The pivot {step.name!r} has steps beside it: let it stand alone."

    def _problems_of_versions(self) -> Iterator[str]:
        for version in self.migrations:
            if not 0 < version < self.version:
                yield f"It migrates from version {version}, which is not before its own version {self.version}."
        for version in range(1, self.context_version):
            if self.upgrades and version not in self.upgrades and version >= min(self.upgrades):
                yield f"It does not say how a context of version {version} is upgraded."
