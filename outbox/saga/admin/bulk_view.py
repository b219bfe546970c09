"""The page of :mod:`outbox.saga.admin.bulk`: asks, counts, asks again, and shows how far it is."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from outbox.saga.admin import bulk
from outbox.saga.models import Saga


def bulk_page(request: HttpRequest, rows: QuerySet[Saga], context: dict[str, Any]) -> HttpResponse:
    """One step of it.

    Args:
        rows: what the filter in the address shows.
        context: the admin site's.
    """
    bulk.require_permission(request.user)
    context |= {"filters": list(request.GET.items()), "back": _back(request)}
    form = bulk.BulkForm(rows, request.POST or None)
    if request.method != "POST" or not form.is_valid():
        asked = {"title": _("Operate on everything that matches"), "form": form, "is_asking": True}
        return TemplateResponse(request, "admin/console/saga/bulk.html", context | asked)
    given = form.cleaned_data
    operation = bulk.APPLY_TO[given["operation"]][0]
    if given["last"] is None:
        return _confirm(request, rows, context | {"operation": operation}, given)
    progress = bulk.run_batch(request.user, rows, given)
    if progress.after is None:
        return _end(request, bulk.in_words(operation, progress), progress)
    hidden = {**given, "after": progress.after, "done": progress.done, "refused": progress.refused}
    page = {"operation": operation, "title": operation.label, "progress": progress, "hidden": hidden.items()}
    return TemplateResponse(request, "admin/console/saga/bulk.html", context | page)


def _confirm(
    request: HttpRequest, rows: QuerySet[Saga], context: dict[str, Any], given: dict[str, Any]
) -> HttpResponse:
    """The dry run: how many, and up to which."""
    operation = context["operation"]
    total = bulk.meant(rows, operation.name)[: bulk.MOST_COUNTED].count()
    if not total:
        messages.warning(request, _("Nothing matched any more."))
        return HttpResponseRedirect(context["back"])
    hidden = {**given, "total": total, "last": bulk.newest(rows, operation.name)}
    page = {"title": operation.question % {"count": total}, "hidden": hidden.items()}
    return TemplateResponse(request, "admin/console/saga/bulk.html", context | page)


def _end(request: HttpRequest, said: str, progress: bulk.Progress) -> HttpResponse:
    messages.success(request, said)
    for text in progress.told:
        messages.warning(request, text)
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": _back(request)})
    return HttpResponseRedirect(_back(request))


def _back(request: HttpRequest) -> str:
    """The list as it was filtered."""
    return f"{reverse('admin:saga_saga_changelist')}?{urlencode(request.GET)}".rstrip("?")
