"""Who did what in the console, when and why: the audit, for reading."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin, shown
from outbox.admin.rendering import anchor, moment

FACTS = ("at", "user", "kind", "what", "change")


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyMixin, ConsoleAdmin):
    """Every change made by a person."""

    list_display = ("at", "user", "kind", "what", "change")
    list_filter = ("action_flag", "content_type")
    list_select_related = ("user", "content_type")
    search_fields = ("=user__username", "=object_id", "change_message")
    search_help_text = _("User, object's id or reason")
    sortable_by = ()
    ordering = ("-id",)
    fieldsets = ((None, {"fields": FACTS}),)

    at = shown("action_time", _("time"), moment)
    kind = shown("content_type", _("kind"), str)

    @admin.display(description=_("object"))
    def what(self, entry: LogEntry) -> SafeString | str:
        """What was changed, as a link where it still has a page."""
        url = entry.get_admin_url()
        return anchor(url, entry.object_repr) if url else entry.object_repr

    @admin.display(description=_("change"))
    def change(self, entry: LogEntry) -> str:
        """What was done, with the reason."""
        return entry.get_change_message() or entry.get_action_flag_display()
