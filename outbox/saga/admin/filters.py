"""The filters of the saga list. All of them live in the address."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from outbox.admin.filters import ChoiceFilter, TextFilter
from outbox.saga import registry
from outbox.saga.dependencies.models import DependencyWait
from outbox.saga.dependencies.overview import dependencies
from outbox.saga.models import Saga, SagaStep

Status = Saga.Status
OPEN = (Status.RUNNING, Status.COMPENSATING)
OPEN_STEP = (SagaStep.Status.SCHEDULED, SagaStep.Status.RUNNING)
SELECTIONS: dict[str, tuple[Any, Q]] = {
    Status.NEEDS_ATTENTION.value: (_("Needs attention"), Q(status=Status.NEEDS_ATTENTION)),
    Status.COMPENSATING.value: (_("Compensating"), Q(status=Status.COMPENSATING)),
    Status.RUNNING.value: (_("Running"), Q(status=Status.RUNNING)),
    "called_off": (_("Running, called off"), Q(status=Status.RUNNING, cancel_requested=True)),
    "overdue": (_("Past its deadline"), Q(status__in=OPEN, deadline_at__lt=Now())),
    "paused": (_("Paused"), Q(status__in=OPEN, paused_at__isnull=False)),
    Status.COMPLETED.value: (_("Completed"), Q(status=Status.COMPLETED)),
    Status.COMPENSATED.value: (_("Compensated"), Q(status=Status.COMPENSATED)),
}
"""What a list can be narrowed to; those that need somebody come first."""


class StateFilter(ChoiceFilter):
    """By state."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Every state."""
        return [(value, name) for value, (name, _rows) in SELECTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas in that state."""
        if not self.value():
            return queryset
        if self.value() not in SELECTIONS:
            raise IncorrectLookupParameters(f"There is no choice {self.value()!r}.")
        return queryset.filter(SELECTIONS[str(self.value())][1])


class DefinitionFilter(ChoiceFilter):
    """By definition. Offers the registered ones without asking the table."""

    title = _("definition")
    parameter_name = "definition"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The registered definitions, and the one in the address."""
        return _with_given(request, "definition", registry.names())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas of that definition."""
        return queryset.filter(definition=self.value()) if self.value() else queryset


class StepFilter(ChoiceFilter):
    """By the step that is scheduled or at work; of a saga that needs attention, by any that did not succeed."""

    title = _("step")
    parameter_name = "step"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The steps of the registered definitions."""
        steps = {step.name: None for name in registry.names() for step in registry.definition_of(name).steps}
        return _with_given(request, "step", list(steps))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas that are there."""
        if not self.value():
            return queryset
        here = SagaStep.objects.filter(saga=OuterRef("pk"), name=self.value())
        at_work = Q(Exists(here.filter(status__in=OPEN_STEP)), status__in=OPEN)
        stopped = Q(Exists(here.exclude(status="succeeded")), status=Status.NEEDS_ATTENTION)
        return queryset.filter(at_work | stopped)


class ServiceFilter(ChoiceFilter):
    """By the service that a step waits for."""

    title = _("waits for")
    parameter_name = "waits_for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The declared services."""
        return _with_given(request, "waits_for", sorted(dependencies()))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas with a step that waits for it."""
        if not self.value():
            return queryset
        waits = DependencyWait.objects.filter(dependency=self.value(), step__status="scheduled")
        return queryset.filter(pk__in=waits.values("step__saga_id"))


class ReasonFilter(TextFilter):
    """By a part of why a saga needs attention or compensates."""

    title = _("reason")
    parameter_name = "reason"
    help_text = _("A part of why it needs attention, or compensates.")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas whose reason has it."""
        given = self.value()
        return (
            queryset.filter(Q(attention__icontains=given) | Q(reason__icontains=given)) if given else queryset
        )


FILTERS: tuple[type[admin.SimpleListFilter], ...] = (
    StateFilter,
    DefinitionFilter,
    StepFilter,
    ServiceFilter,
    ReasonFilter,
)


def _with_given(request: HttpRequest, parameter: str, names: list[str]) -> list[tuple[str, str]]:
    """The names as choices, and what the address names, so that the form says what is shown."""
    given = request.GET.get(parameter, "")
    return [(name, name) for name in ([given] if given and given not in names else []) + names]
