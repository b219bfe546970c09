"""How the states of a message are shown: one word and one colour each, everywhere."""

from __future__ import annotations

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin.rendering import label
from outbox.models import Message, Status

SELECTIONS: dict[str, tuple[str | Promise, Q]] = {
    "pending": (gettext_lazy("Pending"), Q(status=Status.PENDING)),
    "retrying": (gettext_lazy("Pending, after a failure"), Q(status=Status.PENDING, attempts__gt=0)),
    "processing": (gettext_lazy("Processing"), Q(status=Status.PROCESSING)),
    "unconsumed": (gettext_lazy("Sent, unconsumed"), Q(status=Status.SENT, consumed_at=None)),
    "consumed": (gettext_lazy("Sent and consumed"), Q(status=Status.SENT, consumed_at__isnull=False)),
    "dead": (gettext_lazy("Failed: dead letters"), Q(status=Status.FAILED, discarded_at=None)),
    "discarded": (gettext_lazy("Failed and discarded"), Q(status=Status.FAILED, discarded_at__isnull=False)),
}
"""What a list can be narrowed to: the value in its address, its name, the rows."""


def state_label(message: Message) -> SafeString:
    """The state as a coloured word, with what it waits for on hover."""
    if message.status == Status.PENDING:
        if message.attempts:
            return label(_("Pending"), "warning", title=_("Failed before; tried again when it is due."))
        return label(_("Pending"), "info", title=_("Sent when it is due."))
    if message.status == Status.PROCESSING:
        return label(_("Processing"), "primary", title=_("A relay holds it under a lease."))
    if message.status == Status.SENT:
        if message.consumed_at:
            return label(_("Sent"), "success", title=_("Sent and consumed."))
        if message.started_at:
            return label(_("Sent · running"), "primary", title=_("A consumer is at work on it, under a lease."))
        return label(_("Sent · unconsumed"), "warning", title=_("Sent again unless somebody consumes it in time."))
    if message.discarded_at:
        return label(_("Discarded"), "", title=_("Failed, and closed by a person."))
    return label(_("Failed"), "danger", title=_("Given up: waits for a person."))
