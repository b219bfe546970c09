"""Bulk operations: how far each is, live, and the button that stops it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from django.views.decorators.http import require_safe

from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin, shown
from outbox.admin.bulk.work import stop
from outbox.admin.operations import Operation, Outcome
from outbox.admin.rendering import NOTHING, anchor, distance, label, long_text, moment
from outbox.conf import conf
from outbox.database import atomic
from outbox.journal import CHANGED, note
from outbox.models import BulkOperation

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def _stop(user: User, ids: Sequence[Any], _reason: str) -> Outcome:
    with atomic():
        stopped = stop(list(ids), user.get_username())
        note(user, stopped, CHANGED, "Stopped.")
    return Outcome(len(stopped), len(ids) - len(stopped))


STOP = Operation(
    name="stop",
    label=_("Stop"),
    permission="outbox.redrive_message",
    perform=_stop,
    applies=lambda bulk: bulk.ended_at is None,
    question=ngettext_lazy("Stop %(count)d bulk operation?", "Stop %(count)d bulk operations?", "count"),
    explanation=_("What it has changed stays changed; it does not come to the rest."),
    done=ngettext_lazy(
        "%(count)d bulk operation was stopped.", "%(count)d bulk operations were stopped.", "count"
    ),
    refused=ngettext_lazy(
        "%(count)d bulk operation had ended already.", "%(count)d bulk operations had ended already.", "count"
    ),
)


@admin.register(BulkOperation)
class BulkOperationAdmin(ReadOnlyMixin, ConsoleAdmin):
    """What was done to everything that matched."""

    operations = (STOP,)
    list_display = ("name", "state", "progress_in_words", "who", "age", "why")
    list_display_links = ("name",)
    sortable_by = ()
    pages_by_key = True
    fieldsets = ((None, {"fields": ("progress", ("who", "asked"), ("why", "filters"), ("rate", "ended"))}),)

    who = shown("asked_by", _("asked by"), str)
    why = shown("reason", _("reason"), long_text)
    age = shown("asked_at", _("asked"), distance)
    asked = shown("asked_at", _("asked at"), moment)
    ended = shown("ended_at", _("ended at"), moment)
    rate = shown("per_second", _("at most per second"), lambda rate: f"{rate:g}" if rate else NOTHING)

    @admin.display(description=_("operation"))
    def name(self, bulk: BulkOperation) -> str:
        """What it is, and of how many."""
        text = _("Discard of %(count)s") if bulk.kind == bulk.Kind.DISCARD else _("Redrive of %(count)s")
        return str(text) % {"count": f"{bulk.expected:,}"}

    @admin.display(description=_("state"))
    def state(self, bulk: BulkOperation) -> SafeString:
        """Whether it works, is done, or was stopped."""
        return state_of(bulk)

    @admin.display(description=_("progress"))
    def progress_in_words(self, bulk: BulkOperation) -> str:
        """How many of how many."""
        return f"{bulk.done:,} / {bulk.expected:,}"

    @admin.display(description=_("progress"))
    def progress(self, bulk: BulkOperation) -> SafeString:
        """A bar that moves by itself."""
        return SafeString(render_to_string("admin/console/bulk_progress.html", progress_of(bulk)))

    @admin.display(description=_("filters"))
    def filters(self, bulk: BulkOperation) -> SafeString:
        """What it is about, as a link to the list."""
        url = reverse("admin:outbox_message_changelist")
        return anchor(f"{url}?{bulk.query}", bulk.query or str(_("everything that failed")))

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkOperation]:  # noqa: ARG002
        """Latest first, in the database that carries the messages."""
        return BulkOperation.objects.using(conf().DATABASE).order_by("-id")

    def get_urls(self) -> list[URLPattern]:
        """Django's, and the progress by itself."""
        view = self.admin_site.admin_view(require_safe(self.progress_view))
        return [path("<uuid:pk>/progress/", view, name="outbox_bulkoperation_progress"), *super().get_urls()]

    def progress_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The bar, for its refresh."""
        if not self.has_view_permission(request):
            from django.core.exceptions import PermissionDenied

            raise PermissionDenied(f"{request.user} may not see bulk operations.")
        bulk = get_object_or_404(self.get_queryset(request), pk=pk)
        return render(request, "admin/console/bulk_progress.html", progress_of(bulk))

    def sections(self, request: HttpRequest, obj: Any) -> Iterable[Any]:  # noqa: ARG002
        """None."""
        return ()


def state_of(bulk: BulkOperation) -> SafeString:
    """Its state as a coloured word."""
    if bulk.stopped_by:
        return label(str(_("Stopped by %s")) % bulk.stopped_by, "warning")
    if bulk.ended_at:
        return label(str(_("Done")), "success")
    return label(str(_("At work")) if bulk.moved_at else str(_("Waits for a worker")), "primary")


def progress_of(bulk: BulkOperation) -> dict[str, Any]:
    """What the bar shows."""
    looked_at = bulk.done + bulk.passed_over
    share = (
        100 if bulk.ended_at and not bulk.stopped_by else min(100, 100 * looked_at // max(1, bulk.expected))
    )
    return {
        "bulk": bulk,
        "share": share,
        "state": state_of(bulk),
        "url": reverse("admin:outbox_bulkoperation_progress", args=[bulk.pk]),
        "moved": distance(bulk.moved_at),
    }
