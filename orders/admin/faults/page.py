"""The page: seen and switched with permissions of their own, audited, and quick to try again."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from orders.admin.faults.forms import PRESETS, FaultsForm, in_words, initial
from orders.models import FaultSwitch
from orders.sandbox.client import SandboxClient, SandboxError
from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin
from outbox.admin.operations import note
from outbox.saga.dependencies.overview import breakers

SERVICES = ("payment", "shipping")
PATIENCE_SECONDS = 3.0
PAGE = "admin:orders_faultswitch_changelist"
CHANGE = "orders.change_faultswitch"


@admin.register(FaultSwitch)
class FaultSwitchAdmin(ReadOnlyMixin, ConsoleAdmin):
    """The fault switches of each service."""

    class Media:
        css = {"all": ["orders/faults.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether there is a sandbox, and the user may see it."""
        return _has_sandbox() and bool(super().has_view_permission(request, obj))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:  # noqa: ARG002
        """A service by its name: there is no table to ask."""
        return FaultSwitch(service=object_id) if object_id in SERVICES else None

    def get_urls(self) -> list[URLPattern]:
        """The page's own address, where switches are set."""
        view = self.admin_site.admin_view(require_POST(self.switch_view))
        return [path("<slug:service>/switch/", view, name="orders_faultswitch_switch"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Both services, each with its switches."""
        self._require_sandbox(request)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Fault switches"),
            "media": self.media,
            **_state(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/orders/faults.html", context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,  # noqa: ARG002
        form_url: str = "",  # noqa: ARG002
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """The audit's links to a service lead to the page."""
        self._require_sandbox(request)
        return HttpResponseRedirect(reverse(PAGE))

    def switch_view(self, request: HttpRequest, service: str) -> HttpResponse:
        """Set the switches of one service: as the form says, or as the preset that was pressed."""
        self._require_sandbox(request)
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied(f"{request.user} has no permission {CHANGE}.")
        if service not in SERVICES:
            raise Http404(f"No service is called {service!r}.")
        form = FaultsForm(request.POST, prefix=service)
        preset = next((p for p in PRESETS if p.name == request.POST.get("preset")), None)
        if preset is None and not form.is_valid():
            return _answer(request, service, _("Nothing was switched: a value is out of its range."), form)
        switches = dict(preset.switches) if preset else form.switches()
        return _answer(request, service, _switch(request, service, switches))

    def _require_sandbox(self, request: HttpRequest) -> None:
        if not _has_sandbox():
            raise Http404("This shop talks to no sandbox.")
        if not self.has_view_permission(request):
            raise PermissionDenied


def _has_sandbox() -> bool:
    return bool(settings.SANDBOX_URL and settings.SANDBOX_TOKEN)


def _client() -> SandboxClient:
    return SandboxClient(settings.SANDBOX_URL, settings.SANDBOX_TOKEN, timeout_seconds=PATIENCE_SECONDS)


def _answer(request: HttpRequest, service: str, problem: str, form: FaultsForm | None = None) -> HttpResponse:
    """The service's card for htmx, the page again for a browser without a script."""
    if request.headers.get("HX-Request"):
        context = _state(request, {service: form} if form else {})
        card = next((c for c in context["cards"] if c["service"] == service), None)
        told = {"problem": problem or context["problem"], "card": card}
        return TemplateResponse(request, "admin/orders/_faults.html", {**context, **told})
    if problem:
        messages.error(request, problem)
    return HttpResponseRedirect(reverse(PAGE))


def _switch(request: HttpRequest, service: str, switches: dict[str, Any]) -> str:
    """Set them, and note who did; returns what kept it from being done.

    The sandbox goes first: an audit entry is of what has happened.
    """
    try:
        with _client() as client:
            client.set_faults(service, **switches)
    except SandboxError as error:
        return _told(error)
    with translation.override(settings.LANGUAGE_CODE):  # the audit speaks one language, whoever reads it
        said = f"Switched: {in_words(switches)}"
    note(request.user, [FaultSwitch(service=service)], said)  # type: ignore[arg-type]
    return ""


def _state(request: HttpRequest, bound: dict[str, FaultsForm] | None = None) -> dict[str, Any]:
    """How the services stand; ``bound`` forms keep what was typed."""
    common = {"presets": PRESETS, "may_switch": request.user.has_perm(CHANGE)}
    try:
        with _client() as client:
            faults = client.faults()
    except SandboxError as error:
        return {**common, "cards": [], "problem": _told(error)}
    standing = {view.name: view for view in breakers()}
    cards = [
        {
            "service": service,
            "form": (bound or {}).get(service)
            or FaultsForm(prefix=service, initial=initial(faults[service])),
            "words": in_words(faults[service]),
            "breaker": standing.get(service),
            "url": reverse("admin:orders_faultswitch_switch", args=[service]),
        }
        for service in SERVICES
    ]
    return {**common, "cards": cards, "problem": ""}


def _told(error: SandboxError) -> str:
    return _("The sandbox cannot be switched: %(error)s") % {"error": error}
