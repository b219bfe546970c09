"""Many sagas at once: chosen by a filter, counted first, operated one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.saga.exceptions import SagaError
from outbox.saga.models import Saga, SagaStep

BATCH = 500


@dataclass(frozen=True)
class Chosen:
    """A filter of sagas; what is not given does not matter.

    Args:
        definition: of that definition.
        status: in that status.
        step: that have stopped at, or are at, that step.
        error: whose reason for attention, or last error of an unfinished step, contains that text.
        key: of that key.
        older_than: that were started so long ago, or earlier.
        paused: held by a person, or not.
    """

    definition: str = ""
    status: str = ""
    step: str = ""
    error: str = ""
    key: str = ""
    older_than: timedelta | None = None
    paused: bool | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is given."""
        return all(getattr(self, f.name) in ("", None) for f in fields(self))

    def sagas(self) -> QuerySet[Saga]:
        """The sagas as of now, oldest first."""
        found = Saga.objects.using(conf().DATABASE).order_by("id")
        for name in ("definition", "status", "key"):
            if getattr(self, name):
                found = found.filter(**{name: getattr(self, name)})
        if self.paused is not None:
            found = found.filter(paused_at__isnull=not self.paused)
        if self.older_than is not None:
            found = found.filter(started_at__lt=Now() - self.older_than)
        if self.step or self.error:
            found = found.filter(id__in=self._steps().values("saga_id"))
        return found

    def count(self) -> int:
        """How many they are: what a dry run tells."""
        return self.sagas().count()

    def _steps(self) -> QuerySet[SagaStep]:
        rows = SagaStep.objects.using(conf().DATABASE).exclude(
            status__in=["succeeded", "skipped", "cancelled"]
        )
        if self.step:
            rows = rows.filter(name=self.step)
        return rows.filter(last_error__icontains=self.error) if self.error else rows


@dataclass(frozen=True)
class Done:
    """What an operation did: how many sagas it changed, and why others were refused, by their id."""

    changed: int
    refused: dict[UUID, str]


def for_each(chosen: Chosen, operation: Callable[..., None], *, actor: str, reason: str, **more: Any) -> Done:
    """Operate every chosen saga, each in a transaction of its own: one that is refused leaves the others alone.

    Args:
        chosen: which; those that are chosen when it begins.
        operation: of :mod:`outbox.saga.operations`.
        actor, reason, more: for the operation.

    Raises:
        ValueError: no reason was given.
    """
    changed, refused = 0, {}
    for saga_id in _ids(chosen):
        try:
            operation(saga_id, actor=actor, reason=reason, **more)
        except SagaError as error:
            refused[saga_id] = str(error)
        else:
            changed += 1
    return Done(changed, refused)


def _ids(chosen: Chosen) -> Iterator[UUID]:
    """In batches, by their key: a row that is changed meanwhile neither comes twice nor is passed over."""
    newest = chosen.sagas().reverse().values_list("id", flat=True).first()
    last: UUID | None = None
    while newest is not None:
        rest = chosen.sagas().filter(id__lte=newest)
        batch = list((rest.filter(id__gt=last) if last else rest).values_list("id", flat=True)[:BATCH])
        if not batch:
            return
        yield from batch
        last = batch[-1]
