"""Messages: seen, searched, operated and added by hand; never edited, never deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from outbox.admin import known
from outbox.admin.adding import add_message
from outbox.admin.base import ConsoleAdmin
from outbox.admin.json_view import pretty_json
from outbox.admin.links import links_of_message
from outbox.admin.message_filters import AgeFilter, QueueFilter, StateFilter, TypeFilter, search
from outbox.admin.message_form import MessageForm
from outbox.admin.message_operations import OPERATIONS
from outbox.admin.message_sections import messages_url, sections_of
from outbox.admin.rendering import NOTHING, Section, anchor, anchors, code, distance, long_text, moment, shortened
from outbox.admin.states import state_label
from outbox.conf import conf
from outbox.models import Message, Status

DELIVERY = ("attempts", "resends", "due", "lease", "fence", "goes_to", "priority")
TIMES = ("written", "sent", "started", "consumed", "discarded")


@admin.register(Message)
class MessageAdmin(ConsoleAdmin):
    """The outbox table, for operators."""

    operations = OPERATIONS
    list_display = ("type", "state", "to", "age", "attempts", "next_attempt", "error")
    list_filter = (StateFilter, TypeFilter, QueueFilter, AgeFilter)
    search_fields = ("id", "correlation_id", "type", "consumer", "last_error")
    search_help_text = _("Id, correlation id, or words of type and error")
    ordering = ("-id",)
    sortable_by = ()  # only the key's order needs no sorting of the whole table
    fieldsets = (
        (None, {"fields": ("state", "name", "to", "identity", "belongs_to", "see_also", "full_error")}),
        (_("Delivery"), {"fields": DELIVERY}),
        (_("Times"), {"fields": TIMES}),
        (_("Content"), {"fields": ("pretty_payload", "pretty_headers")}),
    )
    add_fieldsets = ((None, {"fields": ("type", "payload", "correlation_id", "due_at")}),)

    # --- Who may what -----------------------------------------------------------------------------------------
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody: a message is a fact."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody: an unwanted message is discarded, with a reason."""
        return False

    # --- The list ---------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:  # noqa: ARG002
        """The messages, in the database that carries them."""
        return Message.objects.using(conf().DATABASE).order_by("-id")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, without the columns that it does not show."""
        self.request = request
        changelist = super().get_changelist_instance(request)
        changelist.result_list = changelist.result_list.defer("payload", "headers")
        return changelist

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Message], search_term: str  # noqa: ARG002
    ) -> tuple[QuerySet[Message], bool]:
        """Messages by id, correlation id, type, consumer or error."""
        return search(queryset, search_term), False

    @display(description=_("state"))
    def state(self, message: Message) -> SafeString:
        """Its state in colour."""
        return state_label(message)
