"""Orders: seen and searched. What is to change goes through their saga."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.contrib import admin
from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from orders.admin.sections import sections_of
from orders.admin.states import status_label
from orders.models import Order
from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin, shown
from outbox.admin.ids import uuid_of
from outbox.admin.links import Link, links_of_correlation
from outbox.admin.message_sections import messages_url
from outbox.admin.rendering import Section, anchor, code, distance, long_text, moment, shortened

FACTS = (("state", "amount"), ("customer", "identity"), ("placed", "ended"), ("messages", "version"), "why")
DELIVERY = (("recipient", "address"), ("postcode", "city"), ("country",))
NUMBER = re.compile(r"^#?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})$")


@admin.register(Order)
class OrderAdmin(ReadOnlyMixin, ConsoleAdmin):
    """Orders, for operators."""

    list_display = ("order_number", "state", "customer", "amount", "age", "short_reason")
    list_filter = ("status",)
    list_select_related = ("customer",)
    search_fields = ("id", "customer__username", "reason")
    search_help_text = _("Number, id, customer or reason")
    sortable_by = ()
    fieldsets = ((None, {"fields": FACTS}), (_("Delivery"), {"fields": DELIVERY}))

    order_number = shown("number", _("order"), str)
    identity = shown("id", _("id"), lambda id_: code(str(id_)))
    why = shown("reason", _("reason"), long_text)
    short_reason = shown("reason", _("reason"), shortened)
    age = shown("placed_at", _("placed"), distance)
    placed = shown("placed_at", _("placed at"), moment)
    ended = shown("ended_at", _("ended at"), moment)

    @admin.display(description=_("status"))
    def state(self, order: Order) -> SafeString:
        """Its status in colour."""
        return status_label(order)

    @admin.display(description=_("total"))
    def amount(self, order: Order) -> str:
        """What the customer pays."""
        return f"{order.total} {order.currency}"

    @admin.display(description=_("messages"))
    def messages(self, order: Order) -> SafeString:
        """Everything in the outbox that belongs to it."""
        return anchor(messages_url(str(order.pk)), str(_("In the outbox")))

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Order],
        search_term: str,
    ) -> tuple[QuerySet[Order], bool]:
        """Orders by id, number, customer or words of the reason."""
        term = search_term.strip()
        if id_ := uuid_of(term):
            return queryset.filter(pk=id_), False
        if number := NUMBER.match(term):
            end = "".join(number.groups()).lower()
            return queryset.alias(text=Cast("id", CharField())).filter(text__endswith=end), False
        for word in term.split():
            queryset = queryset.filter(Q(customer__username__istartswith=word) | Q(reason__icontains=word))
        return queryset, False

    def links(self, request: HttpRequest, obj: Order) -> Iterable[Link]:
        """Its saga."""
        here = request.path
        return [link for link in links_of_correlation(request, str(obj.pk)) if link.url != here]

    def sections(self, request: HttpRequest, obj: Order) -> Iterable[Section]:
        """Lines, fulfilment, and what was done."""
        return sections_of(request, obj)
