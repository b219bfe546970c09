"""The filters of the message list. All of them live in the address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from outbox.admin import known
from outbox.admin.ids import uuid_of
from outbox.admin.states import SELECTIONS
from outbox.models import Message

AGES: dict[str, tuple[Any, Q]] = {
    "15min": (_("Last 15 minutes"), Q(occurred_at__gte=Now() - timedelta(minutes=15))),
    "1h": (_("Last hour"), Q(occurred_at__gte=Now() - timedelta(hours=1))),
    "1d": (_("Last day"), Q(occurred_at__gte=Now() - timedelta(days=1))),
    "7d": (_("Last 7 days"), Q(occurred_at__gte=Now() - timedelta(days=7))),
    "over15min": (_("Older than 15 minutes"), Q(occurred_at__lt=Now() - timedelta(minutes=15))),
    "over1d": (_("Older than a day"), Q(occurred_at__lt=Now() - timedelta(days=1))),
}


class StateFilter(admin.SimpleListFilter):
    """By state, in the words that people use for it."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Every state."""
        return [(value, name) for value, (name, _rows) in SELECTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:  # noqa: ARG002
        """The messages in that state."""
        return queryset.filter(_chosen(SELECTIONS, self.value()))


class TypeFilter(admin.SimpleListFilter):
    """By type. Offers the known ones without asking the table, and takes any."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The known types, and the one in the address."""
        given = request.GET.get("type", "")
        names = known.types()
        return [(name, name) for name in ([given] if given and given not in names else []) + names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:  # noqa: ARG002
        """The messages of that type."""
        return queryset.filter(type=self.value()) if self.value() else queryset


class QueueFilter(admin.SimpleListFilter):
    """By the queue that messages go to, also where that is their consumer's own and not in the row."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The queues of the known tasks, and the one in the address."""
        given = request.GET.get("queue", "")
        names = list(known.queues())
        return [(name, name) for name in ([given] if given and given not in names else []) + names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:  # noqa: ARG002
        """The messages that go to that queue."""
        name = self.value()
        if not name:
            return queryset
        tasks = known.queues().get(name, [])
        own = Q(consumer__in=tasks) | Q(consumer="", type__in=tasks)
        if name == known.distribution_queue():
            own |= Q(consumer="") & ~Q(type__in=known.tasks())
        return queryset.filter(Q(queue=name) | Q(own, queue=""))


class AgeFilter(admin.SimpleListFilter):
    """By the time since the message was written, by the database's clock."""

    title = _("age")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """The spans on offer."""
        return [(value, name) for value, (name, _rows) in AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:  # noqa: ARG002
        """The messages of that age."""
        return queryset.filter(_chosen(AGES, self.value()))


def search(queryset: QuerySet[Message], term: str) -> QuerySet[Message]:
    """Messages by id or correlation id (an index finds them), else by words of type, consumer and error."""
    term = term.strip()
    if not term:
        return queryset
    if id_ := uuid_of(term):
        return queryset.filter(Q(id=id_) | Q(correlation_id__in=[term, str(id_)]))
    return _search_words(queryset, term)


def _search_words(queryset: QuerySet[Message], term: str) -> QuerySet[Message]:
    for word in term.split():
        anywhere = Q(type__icontains=word) | Q(consumer__icontains=word) | Q(last_error__icontains=word)
        queryset = queryset.filter(anywhere | Q(correlation_id=word))
    return queryset


def _chosen(selections: dict[str, tuple[Any, Q]], value: str | None) -> Q:
    """The condition of a value in the address.

    Raises:
        IncorrectLookupParameters: there is no such value; a list of everything would look like an answer.
    """
    if not value:
        return Q()
    if value not in selections:
        raise IncorrectLookupParameters(f"There is no choice {value!r}.")
    return selections[value][1]
