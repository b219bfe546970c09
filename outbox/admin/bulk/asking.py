"""The page that counts everything that matches, asks why, and starts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from outbox.admin.bounded import TookTooLong, time_limit
from outbox.admin.bulk.work import begin
from outbox.admin.message_filters import CONDITIONS, matching
from outbox.admin.message_operations import DISCARD, OPEN_FAILURE, REDRIVE
from outbox.admin.operating import ReasonForm
from outbox.admin.operations import Operation
from outbox.conf import conf
from outbox.database import atomic
from outbox.journal import ADDED, note
from outbox.models import BulkOperation, Message

OPERATIONS = {operation.name: operation for operation in (REDRIVE, DISCARD)}
COUNTING = 10.0
"""Seconds for the dry run."""
TYPES_SHOWN = 20


class BulkForm(ReasonForm):
    """Why, and how quickly."""

    per_second = forms.FloatField(
        label=gettext_lazy("At most per second"),
        required=False,
        min_value=0.1,
        max_value=10_000,
        help_text=gettext_lazy(
            "So that what made them fail is not overrun again. Empty: as quickly as it goes."
        ),
        widget=UnfoldAdminDecimalFieldWidget,
    )


def ask_view(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    """GET counts and asks; POST starts, and leads to where its progress is seen. ``context`` is the admin site's.

    Raises:
        PermissionDenied: the user may not do this, to however few messages.
    """
    operation = _operation(name)
    user = operation.require(request.user)
    query = _filters(request.GET)
    back = f"{reverse('admin:outbox_message_changelist')}?{query.urlencode()}"
    try:
        counts = dry_run(query)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(reverse("admin:outbox_message_changelist") + "?e=1")
    except TookTooLong:
        messages.error(
            request, _("The messages could not be counted in time: filter further, and try again.")
        )
        return HttpResponseRedirect(back)
    form = BulkForm(request.POST or None)
    expected = sum(counts.values())
    if request.method == "POST" and expected and form.is_valid():
        bulk = _start(operation, query, user, expected, form.cleaned_data)
        return HttpResponseRedirect(reverse("admin:outbox_bulkoperation_change", args=[bulk.pk]))
    page = {
        **context,
        "title": operation.question % {"count": expected},
        "operation": operation,
        "expected": expected,
        "counts": list(counts.items())[:TYPES_SHOWN],
        "more": max(0, len(counts) - TYPES_SHOWN),
        "filters": list(query.items()),
        "form": form,
        "back": back,
    }
    return render(request, "admin/console/bulk_ask.html", page)


def dry_run(query: QueryDict) -> dict[str, int]:
    """How many would be changed now, by type, most first. Nothing is.

    Raises:
        IncorrectLookupParameters: a filter has a value that it does not offer.
        TookTooLong: they could not be counted in :data:`COUNTING` seconds.
    """
    with time_limit(conf().DATABASE, COUNTING):
        by_type = matching(_open_failures(), _texts(query)).order_by().values("type")
        counts = by_type.annotate(number=Count("id")).order_by("-number", "type")
        return dict(counts.values_list("type", "number"))


def _start(
    operation: Operation, query: QueryDict, user: User, expected: int, given: dict[str, Any]
) -> BulkOperation:
    """Write it down, with its audit entry and its first task, in one transaction."""
    with atomic():
        bulk = BulkOperation.objects.using(conf().DATABASE).create(
            kind=operation.name,
            query=query.urlencode(),
            reason=given["reason"],
            per_second=given["per_second"],
            expected=expected,
            last=_open_failures().order_by("-id").values_list("id", flat=True).first(),
            asked_by=user.get_username(),
        )
        note(user, [bulk], ADDED, f"{bulk} ({bulk.query or 'no filter'}): {bulk.reason}")
        begin(bulk)
    return bulk


def _open_failures() -> Any:
    return Message.objects.using(conf().DATABASE).filter(OPEN_FAILURE)


def _filters(given: QueryDict) -> QueryDict:
    """The filters of an address, and nothing else of it."""
    query = QueryDict(mutable=True)
    texts = _texts(given)
    query.update({name: texts[name].strip() for name in CONDITIONS if texts.get(name, "").strip()})
    return query


def _texts(query: QueryDict) -> dict[str, str]:
    return {name: str(value) for name, value in query.items()}


def _operation(name: str) -> Operation:
    try:
        return OPERATIONS[name]
    except KeyError:
        raise Http404(f"There is no bulk operation {name!r}.") from None
