"""The dashboard's page, and one panel of it by itself."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from outbox.admin.dashboard.panels import Panel, panel_of, panels_for


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's ``DASHBOARD_CALLBACK``: the panels with their content. ``?live=off`` stops the refreshes."""
    live = request.GET.get("live") != "off"
    shown = [_shown(panel, request, live, panel.is_lazy) for panel in panels_for(request)]
    return {**context, "panels": shown, "live": live}


@require_safe
def panel_view(request: HttpRequest, name: str) -> HttpResponse:
    """One panel, for its refresh: 404 when there is none of that name, 403 for who may not see it."""
    panel = panel_of(name)
    if panel is None:
        raise Http404(f"There is no panel {name!r}.")
    if not request.user.has_perm(panel.permission):
        raise PermissionDenied(f"{request.user} has no permission {panel.permission}.")
    live = request.GET.get("live") != "off"
    return render(request, "admin/console/panel.html", {"shown": _shown(panel, request, live, later=False)})


def _shown(panel: Panel, request: HttpRequest, live: bool, later: bool) -> dict[str, Any]:
    """A panel with its content, or without it where that comes later."""
    url = reverse("admin:outbox_panel", args=[panel.name])
    return {
        "panel": panel,
        "content": None if later else panel.content(request),
        "url": url if live else f"{url}?live=off",
        "live": live,
        "later": later,
    }
