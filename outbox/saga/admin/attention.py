"""What stands above the list of sagas: those that wait for a person, and services that are not well."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from outbox.admin.privacy import for_reader
from outbox.admin.rendering import clock
from outbox.conf import conf
from outbox.saga.admin.pausing import offers, pauses
from outbox.saga.dependencies.overview import breakers
from outbox.saga.models import Saga

MOST_SHOWN = 10
MOST_COUNTED = 1000


def attention(request: HttpRequest) -> dict[str, Any]:
    """For the template: four queries, each by an index that holds only such rows."""
    parked = Saga.objects.using(conf().DATABASE).filter(status=Saga.Status.NEEDS_ATTENTION)
    oldest = parked.defer("context").order_by("id")[:MOST_SHOWN]
    count = parked[:MOST_COUNTED].count()
    paused = list(pauses(request))
    return {
        "pauses": paused,
        "pause_offers": list(offers(request, {entry["pause"].definition for entry in paused})),
        "parked": [
            {"saga": saga, "why": for_reader(request, saga.attention), "url": _page(saga)}
            for saga in (oldest if count else ())
        ],
        "parked_count": count,
        "parked_more": max(0, count - MOST_SHOWN),
        "parked_url": f"{_list()}?state={Saga.Status.NEEDS_ATTENTION}",
        "services": [
            {
                "view": view,
                "until": clock(view.open_until) if view.open_until else "",
                "error": for_reader(request, view.last_error),
                "url": f"{_list()}?waits_for={view.name}",
            }
            for view in breakers()
            if view.state != "closed" or view.waiting
        ],
    }


def _page(saga: Saga) -> str:
    return reverse("admin:saga_saga_change", args=[saga.pk])


def _list() -> str:
    return reverse("admin:saga_saga_changelist")
