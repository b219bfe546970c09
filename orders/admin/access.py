"""API keys: seen and revoked. Their hashes are shown to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from orders.models import ApiKey
from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin, shown
from outbox.admin.operations import Operation, Outcome, note
from outbox.admin.rendering import code, label, moment

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FACTS = (("state", "name"), ("start", "customer"), ("created", "revoked"))


def _revoke(user: User, ids: Sequence[Any], reason: str) -> Outcome:
    """Close the keys that are still good; the API asks for each request, so they open nothing from now on."""
    good = list(ApiKey.objects.select_for_update().filter(pk__in=ids, revoked_at=None).order_by("pk"))
    ApiKey.objects.filter(pk__in=[key.pk for key in good]).update(revoked_at=Now())
    note(user, good, f"Revoked: {reason}")
    return Outcome(len(good), len(ids) - len(good))


REVOKE = Operation(
    name="revoke",
    label=_("Revoke"),
    permission="orders.change_apikey",
    perform=_revoke,
    applies=lambda key: key.revoked_at is None,
    question=ngettext_lazy("Revoke %(count)d API key?", "Revoke %(count)d API keys?", "count"),
    explanation=_(
        "Requests with it are refused from now on. This cannot be undone: issue another key instead."
    ),
    done=ngettext_lazy("%(count)d API key was revoked.", "%(count)d API keys were revoked.", "count"),
    refused=ngettext_lazy(
        "%(count)d API key was revoked before.", "%(count)d API keys were revoked before.", "count"
    ),
    needs_reason=True,
    is_dangerous=True,
)


class StateFilter(admin.SimpleListFilter):
    """Good or revoked."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Both."""
        return [("good", _("Good")), ("revoked", _("Revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:  # noqa: ARG002
        """The keys in that state."""
        states = {"good": Q(revoked_at=None), "revoked": Q(revoked_at__isnull=False)}
        return queryset.filter(states.get(self.value() or "", Q()))


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyMixin, ConsoleAdmin):
    """Who may use the API, and with which keys."""

    operations = (REVOKE,)
    list_display = ("name", "start", "customer", "state", "created")
    list_filter = (StateFilter,)
    list_select_related = ("customer",)
    search_fields = ("name", "prefix", "customer__username")
    search_help_text = _("Name, first characters or customer")
    ordering = ("-id",)
    fieldsets = ((None, {"fields": FACTS}),)

    start = shown("prefix", _("first characters"), lambda prefix: code(f"{prefix}…"))
    created = shown("created_at", _("created at"), moment)
    revoked = shown("revoked_at", _("revoked at"), moment)

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> SafeString:
        """Good or revoked, in colour."""
        return label(str(_("Revoked"))) if key.revoked_at else label(str(_("Good")), "success")
