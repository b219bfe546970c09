"""The filters of the saga list."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from outbox.saga import registry
from outbox.saga.models import Saga

Status = Saga.Status
ATTENTION_FIRST = (
    Status.NEEDS_ATTENTION,
    Status.COMPENSATING,
    Status.RUNNING,
    Status.COMPLETED,
    Status.COMPENSATED,
)


class StateFilter(admin.SimpleListFilter):
    """By state; those that need somebody come first."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Every state."""
        return [(status.value, status.label) for status in ATTENTION_FIRST]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas in that state."""
        return queryset.filter(status=self.value()) if self.value() else queryset


class DefinitionFilter(admin.SimpleListFilter):
    """By definition. Offers the registered ones without asking the table."""

    title = _("definition")
    parameter_name = "definition"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The registered definitions."""
        return [(name, name) for name in registry.names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas of that definition."""
        return queryset.filter(definition=self.value()) if self.value() else queryset

    def has_output(self) -> bool:
        """Also where there is only one definition: the list says then what it shows."""
        return bool(self.lookup_choices)
