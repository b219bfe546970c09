"""Sagas and the services they call, on the dashboard."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin.dashboard import Figure, panel
from outbox.admin.dashboard.panels import counted
from outbox.admin.rendering import anchor, code, distance, label, shortened, table
from outbox.conf import conf
from outbox.saga.dependencies.overview import BreakerView, breakers
from outbox.saga.models import Saga, SagaStep

COLOURS = {
    Saga.Status.NEEDS_ATTENTION: "danger",
    Saga.Status.COMPENSATING: "warning",
    Saga.Status.RUNNING: "info",
}
OPEN_STEPS = ("scheduled", "running", "waiting")
MOST_READ = 20_000
BREAKER_COLOURS = {"closed": "success", "half_open": "warning", "open": "danger"}


@panel(
    "sagas",
    gettext_lazy("Sagas"),
    permission="saga.view_saga",
    order=60,
    template="admin/console/panels/sagas.html",
    is_wide=True,
)
def sagas(_request: HttpRequest) -> dict[str, Any]:
    """How many are open, and at which steps they are."""
    return {"figures": [_figure(status) for status in COLOURS], "steps": _steps()}


@panel(
    "dependencies",
    gettext_lazy("Outside services"),
    permission="saga.view_saga",
    order=70,
    template="admin/console/panels/progress.html",
    is_wide=True,
)
def dependencies(_request: HttpRequest) -> dict[str, Any]:
    """Each service with its breaker."""
    headers = (
        _("Service"),
        _("Breaker"),
        _("Failures in a row"),
        _("Steps waiting"),
        _("Latest failure"),
        _("Error"),
    )
    rows = [
        (
            code(view.name),
            _breaker_label(view),
            view.failures,
            view.waiting,
            distance(view.last_failed_at),
            shortened(view.last_error),
        )
        for view in breakers()
    ]
    return {"table": table(headers, rows, empty=_("No saga names a service that it depends on."))}


def _figure(status: Saga.Status) -> Figure:
    number, text = counted(Saga.objects.using(conf().DATABASE).filter(status=status))
    return Figure(
        _(str(status.label)), text, _url(state=status), COLOURS[status] if number else "", key=status.value
    )


def _url(**filters: str) -> str:
    return f"{reverse('admin:saga_saga_changelist')}?{urlencode(filters)}"


def _steps() -> SafeString:
    """The open steps by name: each condition of its own finds its own index."""
    open_steps: QuerySet[SagaStep] = SagaStep.objects.using(conf().DATABASE).filter(
        Q(status="scheduled") | Q(status__in=["running", "waiting"])
    )
    groups = (
        open_steps.filter(pk__in=open_steps.order_by().values("pk")[:MOST_READ])
        .values("saga__definition", "name", "direction", "status")
        .annotate(number=Count("pk"))
        .order_by("saga__definition", "name", "direction")
    )
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for group in groups:
        key = (group["saga__definition"], group["name"], group["direction"])
        found.setdefault(key, {})[group["status"]] = group["number"]
    headers = (_("Saga"), _("Step"), *(_(str(SagaStep.Status(status).label)) for status in OPEN_STEPS))
    rows = [
        (
            anchor(_url(definition=definition, state=_state_of(direction)), definition),
            _name(name, direction),
            *(f"{numbers.get(status, 0):,}" for status in OPEN_STEPS),
        )
        for (definition, name, direction), numbers in found.items()
    ]
    return table(headers, rows, empty=_("No saga is at work."))


def _state_of(direction: str) -> str:
    return "compensating" if direction == SagaStep.Direction.COMPENSATION else "running"


def _name(name: str, direction: str) -> str:
    return f"{name} ({_('compensation')})" if direction == SagaStep.Direction.COMPENSATION else name


def _breaker_label(view: BreakerView) -> SafeString:
    texts = {"closed": _("Closed"), "half_open": _("Half-open"), "open": _("Open")}
    titles = {
        "closed": _("Calls go through."),
        "half_open": _("One attempt tries whether it is back."),
        "open": _("It is away: nobody calls it until the next probe."),
    }
    return label(texts[view.state], BREAKER_COLOURS[view.state], title=titles[view.state])
