"""The filters of the message list. All of them live in the address.

What each parameter of an address means is one function, so that a list and what is done to "everything that matches"
never differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from outbox import known
from outbox.admin.filters import ChoiceFilter, TextFilter
from outbox.admin.ids import first_id_of, uuid_of
from outbox.admin.states import SELECTIONS
from outbox.models import Message
from outbox.selection import goes_to

Moment = datetime | Now

AGES: dict[str, tuple[Any, bool, timedelta]] = {
    "15min": (_("Last 15 minutes"), True, timedelta(minutes=15)),
    "1h": (_("Last hour"), True, timedelta(hours=1)),
    "1d": (_("Last day"), True, timedelta(days=1)),
    "7d": (_("Last 7 days"), True, timedelta(days=7)),
    "over15min": (_("Older than 15 minutes"), False, timedelta(minutes=15)),
    "over1h": (_("Older than an hour"), False, timedelta(hours=1)),
    "over1d": (_("Older than a day"), False, timedelta(days=1)),
    "over7d": (_("Older than 7 days"), False, timedelta(days=7)),
}
"""For each value: its name, whether it means younger than a span, the span."""
CLOCKS = timedelta(minutes=15)
"""How much an id may be older than its row: clocks differ, and transactions take time."""
ATTEMPTS: dict[str, tuple[Any, Q]] = {
    "0": (_("Not tried yet"), Q(attempts=0)),
    "1": (_("At least once"), Q(attempts__gte=1)),
    "2": (_("At least twice"), Q(attempts__gte=2)),
    "5": (_("At least 5 times"), Q(attempts__gte=5)),
    "10": (_("At least 10 times"), Q(attempts__gte=10)),
}


def matching(
    rows: QuerySet[Message], parameters: Mapping[str, str], now: Moment | None = None
) -> QuerySet[Message]:
    """The messages that the parameters of an address select; others than those of the filters are no matter.

    Args:
        rows: of these.
        parameters: of the address.
        now: what ages are counted from; by default the present, by the database's clock.

    Raises:
        IncorrectLookupParameters: a value is none that its filter offers.
    """
    for name, condition in CONDITIONS.items():
        if value := parameters.get(name, "").strip():
            rows = rows.filter(condition(value, now or Now()))
    return rows


def start_of_age(value: str) -> UUID | None:
    """About where in the list the messages of an age begin, where that is not at its top."""
    if not value:
        return None
    _name, young, span = _choice(AGES, value)
    return None if young else first_id_of(timezone.now() - span + CLOCKS)


def _of_state(value: str, _now: Moment) -> Q:
    return Q(_choice(SELECTIONS, value)[1])


def _of_age(value: str, now: Moment) -> Q:
    _name, young, span = _choice(AGES, value)
    if not young:
        return Q(occurred_at__lt=now - span)
    about = now if isinstance(now, datetime) else timezone.now()
    return Q(occurred_at__gte=now - span, id__gte=first_id_of(about - span - CLOCKS))


def _of_attempts(value: str, _now: Moment) -> Q:
    return Q(_choice(ATTEMPTS, value)[1])


def _of_words(value: str, _now: Moment) -> Q:
    """By id or correlation id (an index finds them), else by words of type, consumer and error."""
    if id_ := uuid_of(value):
        return Q(id=id_) | Q(correlation_id__in=[value, str(id_)])
    condition = Q()
    for word in value.split():
        anywhere = Q(type__icontains=word) | Q(consumer__icontains=word) | Q(last_error__icontains=word)
        condition &= anywhere | Q(correlation_id=word)
    return condition


CONDITIONS: dict[str, Callable[[str, Moment], Q]] = {
    "state": _of_state,
    "type": lambda value, _now: Q(type=value),
    "queue": lambda value, _now: goes_to(value),
    "age": _of_age,
    "attempts": _of_attempts,
    "error": lambda value, _now: Q(last_error__icontains=value),
    "key": lambda value, _now: Q(key=value),
    "correlation": lambda value, _now: Q(correlation_id=value),
    "q": _of_words,
}
"""What each parameter of an address selects."""


class MessageFilter:
    """Narrows the list by the condition of its parameter."""

    parameter_name: str
    used_parameters: dict[str, Any]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:  # noqa: ARG002
        """The messages that match."""
        value = self.used_parameters.get(self.parameter_name) or ""
        return matching(queryset, {self.parameter_name: value})


class StateFilter(MessageFilter, ChoiceFilter):
    """By state, in the words that people use for it."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Every state."""
        return [(value, name) for value, (name, _rows) in SELECTIONS.items()]


class TypeFilter(MessageFilter, ChoiceFilter):
    """By type. Offers the known ones without asking the table, and takes any."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The known types, and the one in the address."""
        return _with_given(known.types(), request.GET.get("type", ""))


class QueueFilter(MessageFilter, ChoiceFilter):
    """By the queue that messages go to, also where that is their consumer's own and not in the row."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """The queues of the known tasks, and the one in the address."""
        return _with_given(list(known.queues()), request.GET.get("queue", ""))


class AgeFilter(MessageFilter, ChoiceFilter):
    """By the time since the message was written."""

    title = _("age")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """The spans on offer."""
        return [(value, name) for value, (name, _young, _span) in AGES.items()]


class AttemptsFilter(MessageFilter, ChoiceFilter):
    """By how often it was tried."""

    title = _("attempts")
    parameter_name = "attempts"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """The numbers on offer."""
        return [(value, name) for value, (name, _rows) in ATTEMPTS.items()]


class ErrorFilter(MessageFilter, TextFilter):
    """By a part of the last error."""

    title = _("last error")
    parameter_name = "error"
    help_text = _("A part of it, such as ConnectError.")


class KeyFilter(MessageFilter, TextFilter):
    """By the key that orders messages."""

    title = _("key")
    parameter_name = "key"
    help_text = _("Messages of one key are delivered one after the other.")


class CorrelationFilter(MessageFilter, TextFilter):
    """By what it belongs to."""

    title = _("correlation id")
    parameter_name = "correlation"
    help_text = _("What it belongs to, such as an order's id.")


FILTERS = (
    StateFilter,
    TypeFilter,
    QueueFilter,
    AgeFilter,
    AttemptsFilter,
    ErrorFilter,
    KeyFilter,
    CorrelationFilter,
)


def _with_given(names: list[str], given: str) -> list[tuple[str, str]]:
    return [(name, name) for name in ([given] if given and given not in names else []) + names]


def _choice(choices: Mapping[str, Any], value: str) -> Any:
    """What a value in the address stands for.

    Raises:
        IncorrectLookupParameters: there is no such value; a list of everything would look like an answer.
    """
    if value not in choices:
        raise IncorrectLookupParameters(f"There is no choice {value!r}.")
    return choices[value]
