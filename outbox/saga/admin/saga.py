"""Sagas: seen, searched and operated; never edited, never deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin, shown
from outbox.admin.ids import uuid_of
from outbox.admin.links import Link, links_of_correlation
from outbox.admin.message_sections import messages_url
from outbox.admin.rendering import NOTHING, Section, anchor, code, distance, long_text, moment, shortened
from outbox.conf import conf
from outbox.saga import registry
from outbox.saga.admin.filters import DefinitionFilter, StateFilter
from outbox.saga.admin.operations import OPERATIONS
from outbox.saga.admin.sections import sections_of
from outbox.saga.admin.states import saga_label, step_label
from outbox.saga.models import Saga, SagaStep

FACTS = (
    ("state", "definition"),
    ("works_on", "version"),
    ("started", "identity"),
    ("ended", "deadline"),
    "needs",
    "why",
)


@admin.register(Saga)
class SagaAdmin(ReadOnlyMixin, ConsoleAdmin):
    """Sagas, for operators."""

    operations = OPERATIONS
    list_display = ("definition", "key", "state", "current_step", "age", "in_short")
    list_filter = (StateFilter, DefinitionFilter)
    search_fields = ("id", "key", "reason", "attention")
    search_help_text = _("Id, key or reason")
    sortable_by = ()  # any other order than the key's would sort the whole table
    fieldsets = ((None, {"fields": FACTS}),)

    identity = shown("id", _("id"), lambda id_: code(str(id_)))
    works_on = shown("key", _("key"), lambda key: anchor(messages_url(key), key))
    needs = shown("attention", _("needs attention"), long_text)
    why = shown("reason", _("reason"), long_text)
    age = shown("started_at", _("started"), distance)
    started = shown("started_at", _("started at"), moment)
    deadline = shown("deadline_at", _("deadline at"), moment)
    ended = shown("ended_at", _("ended at"), moment)

    @admin.display(description=_("state"))
    def state(self, saga: Saga) -> SafeString:
        """Its state in colour."""
        return saga_label(saga)

    @admin.display(description=_("why"))
    def in_short(self, saga: Saga) -> SafeString:
        """Why it needs a person; else why it compensates."""
        return shortened(saga.attention or saga.reason)

    @admin.display(description=_("current step"))
    def current_step(self, saga: Saga) -> str:
        """The step that it reached last, with that step's state."""
        steps = list(saga.steps.all())
        return SafeString(f"{code(str(steps[-1]))} {step_label(steps[-1])}") if steps else NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas, in the database that carries them, latest first."""
        return Saga.objects.using(conf().DATABASE).order_by("-id")

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The list shows no contexts, and the steps of its sagas are fetched together."""
        steps = SagaStep.objects.using(conf().DATABASE).defer("result", "last_error")
        return rows.defer("context").prefetch_related(Prefetch("steps", steps))

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Saga],
        search_term: str,
    ) -> tuple[QuerySet[Saga], bool]:
        """Sagas by id or key, else by words of the reason."""
        term = search_term.strip()
        if id_ := uuid_of(term):
            of_key = Q(definition__in=registry.names(), key__in=[term, str(id_)])  # as the index has them
            return queryset.filter(of_key | Q(id=id_)), False
        for word in term.split():
            in_words = Q(reason__icontains=word) | Q(attention__icontains=word)
            queryset = queryset.filter(in_words | Q(key=word))
        return queryset, False

    def links(self, request: HttpRequest, obj: Saga) -> Iterable[Link]:
        """What it works on, such as its order."""
        here = request.path
        return [link for link in links_of_correlation(request, obj.key) if link.url != here]

    def sections(self, request: HttpRequest, obj: Saga) -> Iterable[Section]:
        """Steps, history, results, messages."""
        return sections_of(request, obj)
