"""Messages: seen, searched, operated and added by hand; never edited, never deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from outbox import known
from outbox.admin.adding import add_message
from outbox.admin.base import POSITION, ConsoleAdmin, shown
from outbox.admin.bulk.asking import OPERATIONS as BULK
from outbox.admin.bulk.asking import ask_view
from outbox.admin.dashboard.views import panel_view
from outbox.admin.json_view import pretty_json
from outbox.admin.links import Link, links_of_message, messages_url
from outbox.admin.message_filters import FILTERS, matching, start_of_age
from outbox.admin.message_form import MessageForm
from outbox.admin.message_operations import OPERATIONS
from outbox.admin.message_sections import sections_of
from outbox.admin.privacy import hide_in
from outbox.admin.rendering import NOTHING, Section, anchor, code, distance, due, long_text, moment, shortened
from outbox.admin.states import state_label
from outbox.conf import conf
from outbox.models import Message, Pause, Status

FACTS = (("state", "identity"), ("name", "to"), ("correlation", "written"), "error_in_full")
CONTENT = ("payload_in_colour", "headers_in_colour")
DELIVERY = (
    ("urgency", "sent_again"),
    ("goes_to", "tries"),
    ("next_at", "lease"),
    ("sent", "holder"),
    ("in_order_of", "behind"),
    ("schedule", "last_holder"),
    ("consumed", "started"),
    ("discarded",),
)


@admin.register(Message)
class MessageAdmin(ConsoleAdmin):
    """The outbox table, for operators."""

    operations = OPERATIONS
    list_display = ("name", "to", "state", "age", "tries", "next_attempt", "error")
    list_before_template = "admin/console/matching.html"
    list_filter = FILTERS
    list_filter_submit = True
    pages_by_key = True
    search_fields = ("id", "correlation_id", "type", "consumer", "last_error")
    search_help_text = gettext_lazy("Id, correlation id, type or error")
    sortable_by = ()  # any other order than the key's would sort the whole table
    fieldsets = (
        (None, {"fields": FACTS}),
        (gettext_lazy("Content"), {"fields": CONTENT}),
        (gettext_lazy("Delivery"), {"fields": DELIVERY}),
    )
    add_fieldsets = ((None, {"fields": ("type", "payload", "correlation_id", "due_at")}),)

    holder = shown("lock_id", gettext_lazy("lock id"), lambda id_: code(str(id_ or "")))
    tries = shown("attempts", gettext_lazy("attempts"), str)
    urgency = shown("priority", gettext_lazy("priority, 0 first"), str)
    sent_again = shown("resends", gettext_lazy("resends, as nobody consumed it"), str)
    name = shown("type", gettext_lazy("type"), str)
    identity = shown("id", gettext_lazy("id"), lambda id_: code(str(id_)))
    error_in_full = shown("last_error", gettext_lazy("last error"), long_text)
    error = shown("last_error", gettext_lazy("last error"), shortened)
    age = shown("occurred_at", gettext_lazy("age"), distance)
    next_at = shown("next_attempt_at", gettext_lazy("next attempt at"), moment)
    lease = shown("locked_until", gettext_lazy("locked until"), moment)
    schedule = shown("schedule_key", gettext_lazy("schedule key"), lambda key: code(key or ""))
    last_holder = shown("locked_by", gettext_lazy("held last by"), code)
    written = shown("occurred_at", gettext_lazy("occurred at"), moment)
    sent = shown("sent_at", gettext_lazy("sent at"), moment)
    started = shown("started_at", gettext_lazy("started at"), moment)
    consumed = shown("consumed_at", gettext_lazy("consumed at"), moment)
    discarded = shown("discarded_at", gettext_lazy("discarded at"), moment)
    payload_in_colour = shown("payload", gettext_lazy("payload"), pretty_json)
    headers_in_colour = shown("headers", gettext_lazy("headers"), pretty_json)

    @admin.display(description=gettext_lazy("state"))
    def state(self, message: Message) -> SafeString:
        """Its state in colour."""
        return state_label(message)

    @admin.display(description=gettext_lazy("consumer"))
    def to(self, message: Message) -> str:
        """Who consumes it, where that is not said by its type."""
        if message.consumer == message.type:
            return NOTHING
        return message.consumer or _("every subscriber")

    @admin.display(description=gettext_lazy("next"))
    def next_attempt(self, message: Message) -> str:
        """When something happens to it by itself."""
        if message.status == Status.PENDING:
            return due(message.next_attempt_at, _("in %s"), _("due for %s"))
        if message.status == Status.SENT and not message.started_at:
            return due(message.locked_until, _("resend in %s"), _("resend due"))
        return due(message.locked_until, _("leased for %s"), _("lease over"))

    @admin.display(description=gettext_lazy("correlation id"))
    def correlation(self, message: Message) -> str:
        """What it belongs to, as a link to everything that does."""
        if not message.correlation_id:
            return NOTHING
        return anchor(messages_url(correlation=message.correlation_id), message.correlation_id)

    @admin.display(description=gettext_lazy("key"))
    def in_order_of(self, message: Message) -> str:
        """The key that orders it, as a link to all of that key."""
        return anchor(messages_url(key=message.key), message.key) if message.key else NOTHING

    @admin.display(description=gettext_lazy("waits for"))
    def behind(self, message: Message) -> str:
        """What holds it back: a message of its key, or a pause."""
        if message.waits_for is None:
            return NOTHING
        if pause := Pause.objects.using(conf().DATABASE).filter(pk=message.waits_for).first():
            return anchor(reverse("admin:outbox_pause_change", args=[pause.pk]), str(pause))
        return anchor(
            reverse("admin:outbox_message_change", args=[message.waits_for]), str(message.waits_for)
        )

    @admin.display(description=gettext_lazy("queue"))
    def goes_to(self, message: Message) -> str:
        """The queue that it is sent to."""
        return message.queue or known.default_queue(message.type, message.consumer) or NOTHING

    def get_urls(self) -> list[URLPattern]:
        """Those of messages, of the dashboard's panels, and of what is done to all that match."""
        site = self.admin_site
        ask = require_http_methods(["GET", "HEAD", "POST"])(self.ask_for_all)
        return [
            path("panels/<slug:name>/", site.admin_view(panel_view), name="outbox_panel"),
            path("all/<slug:name>/", site.admin_view(ask), name="outbox_message_all"),
            *super().get_urls(),
        ]

    def ask_for_all(self, request: HttpRequest, name: str) -> HttpResponse:
        """An operation on everything that matches the filters in the address."""
        context = {**self.admin_site.each_context(request), "opts": self.opts}
        return ask_view(request, name, context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, and above it what can be done to everything that failed and matches."""
        offers = [
            {
                "label": operation.label,
                "url": f"{reverse('admin:outbox_message_all', args=[name])}?{_query(request)}",
            }
            for name, operation in BULK.items()
            if request.user.has_perm(operation.permission) and request.GET.get("state", "dead") == "dead"
        ]
        return super().changelist_view(request, {**(extra_context or {}), "bulk_offers": offers})

    # --- Who may what ---------------------------------------------------------------------------------------
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody: a message is a fact."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody: an unwanted message is discarded, with a reason."""
        return False

    # --- What is shown --------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:  # noqa: ARG002
        """The messages, in the database that carries them, latest first."""
        return Message.objects.using(conf().DATABASE).order_by("-id")

    def start_of_list(self, request: HttpRequest) -> UUID | None:
        """Old messages are far down."""
        return start_of_age(request.GET.get("age", ""))

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The list shows no contents."""
        return rows.defer("payload", "headers")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Message],
        search_term: str,
    ) -> tuple[QuerySet[Message], bool]:
        """Messages by id, correlation id, type, consumer or error."""
        return matching(queryset, {"q": search_term}), False

    def hide(self, request: HttpRequest, obj: Any) -> None:
        """Personal data, from who may not see it."""
        hide_in(request, obj)

    def links(self, request: HttpRequest, obj: Message) -> Iterable[Link]:
        """Its saga step, its order, its task in Flower."""
        return links_of_message(request, obj)

    def sections(self, request: HttpRequest, obj: Message) -> Iterable[Section]:  # noqa: ARG002
        """Its failed attempts and its lineage."""
        return sections_of(obj)

    # --- Adding one by hand ---------------------------------------------------------------------------------
    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form that adds a message; of one that is there, no field is a form's."""
        if obj is None:
            kwargs |= {"form": MessageForm, "fields": MessageForm.Meta.fields}
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Message, form: MessageForm, change: bool) -> None:  # noqa: ARG002
        """Insert the message, and have the relay woken after the commit."""
        due_at = form.cleaned_data["due_at"]
        add_message(obj.type, obj.payload, id_=obj.id, correlation_id=obj.correlation_id, due_at=due_at)

    def response_post_save_add(self, request: HttpRequest, obj: Message) -> HttpResponse:
        """Lead to the message, where its delivery can be watched."""
        if not self.has_view_permission(request, obj):
            response: HttpResponse = super().response_post_save_add(request, obj)
            return response
        return HttpResponseRedirect(reverse("admin:outbox_message_change", args=[obj.pk]))


def _query(request: HttpRequest) -> str:
    """The filters in the address, without the place in the list."""
    query = request.GET.copy()
    for name in POSITION:
        query.pop(name, None)
    return query.urlencode()
