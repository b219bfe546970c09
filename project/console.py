"""The operator's console: its name, its navigation, its style. ``UNFOLD`` is a setting."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: only what this user may see. A group without entries is left out."""
    groups = [
        (
            _("Platform"),
            [
                {"title": _("Dashboard"), "icon": "monitoring", "link": reverse("admin:index")},
                _page(request, _("Messages"), "outbox", "message", "mail"),
                _page(request, _("Bulk operations"), "outbox", "bulkoperation", "playlist_add_check"),
                _page(request, _("Pauses and limits"), "outbox", "pause", "pause_circle"),
                _page(request, _("Sagas"), "saga", "saga", "account_tree"),
                _page(request, _("Task results"), "django_celery_results", "taskresult", "task_alt"),
                *_flower(),
            ],
        ),
        (
            _("Shop"),
            [
                _page(request, _("Orders"), "orders", "order", "shopping_cart"),
                _page(request, _("Products"), "orders", "product", "inventory_2"),
                _page(request, _("Daily sales"), "orders", "dailysales", "bar_chart"),
                _page(request, _("API keys"), "orders", "apikey", "key"),
                *_fault_switches(request),
            ],
        ),
        (
            _("People"),
            [
                _page(request, _("Users"), "auth", "user", "person"),
                _page(request, _("Groups"), "auth", "group", "group"),
                _page(request, _("Audit"), "admin", "logentry", "history"),
            ],
        ),
    ]
    return [
        {"title": title, "separator": number > 0, "items": allowed}
        for number, (title, pages) in enumerate(groups)
        if (allowed := [page for page in pages if page])
    ]


def tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Above the lists: the views that an operator opens every day."""
    messages, sagas = reverse("admin:outbox_message_changelist"), reverse("admin:saga_saga_changelist")
    controls = (
        (_("Pauses"), reverse("admin:outbox_pause_changelist")),
        (_("Rate limits"), reverse("admin:outbox_ratelimit_changelist")),
    )
    return [
        _tabs(
            request,
            "outbox.message",
            (_("All"), messages),
            (_("Pending"), f"{messages}?state=pending"),
            (_("Unconsumed"), f"{messages}?state=unconsumed"),
            (_("Dead letters"), f"{messages}?state=dead"),
        ),
        _tabs(request, "outbox.pause", *controls),
        _tabs(request, "outbox.ratelimit", *controls),
        _tabs(
            request,
            "saga.saga",
            (_("All"), sagas),
            (_("Needs attention"), f"{sagas}?state=needs_attention"),
            (_("Running"), f"{sagas}?state=running"),
            (_("Compensating"), f"{sagas}?state=compensating"),
        ),
    ]


def _page(request: HttpRequest, title: str, app: str, model: str, icon: str) -> dict[str, Any] | None:
    if not request.user.has_perm(f"{app}.view_{model}"):
        return None
    return {"title": title, "icon": icon, "link": reverse(f"admin:{app}_{model}_changelist")}


def _flower() -> list[dict[str, Any]]:
    """Flower has a password of its own: whoever may see the console may see that it is there."""
    if not settings.FLOWER_URL:
        return []
    return [{"title": "Flower", "icon": "local_florist", "link": settings.FLOWER_URL, "active": False}]


def _fault_switches(request: HttpRequest) -> list[dict[str, Any] | None]:
    """Only where the sandbox is what the shop talks to."""
    if not settings.SANDBOX_TOKEN:
        return []
    return [_page(request, _("Fault switches"), "orders", "faultswitch", "science")]


def _tabs(request: HttpRequest, model: str, *pages: tuple[str, str]) -> dict[str, Any]:
    return {
        "models": [model],
        "items": [
            {"title": title, "link": link, "active": request.get_full_path() == link} for title, link in pages
        ],
    }


UNFOLD = {
    "SITE_TITLE": "Todoke",
    "SITE_HEADER": "Todoke",
    "SITE_SUBHEADER": gettext_lazy("Operator's console"),
    "SITE_SYMBOL": "outbox",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("outbox/favicon.svg")}
    ],
    "SHOW_LANGUAGES": False,
    "BORDER_RADIUS": "6px",
    "STYLES": [lambda _request: static("outbox/console.css")],
    "SCRIPTS": [lambda _request: static("outbox/times.js")],
    "DASHBOARD_CALLBACK": "outbox.admin.dashboard.views.dashboard_context",
    "SIDEBAR": {"show_search": False, "navigation": navigation},
    "TABS": tabs,
}
