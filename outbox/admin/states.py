"""How the states of a message are shown: one word and one colour each, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Q
from django.db.models.functions import Now
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from outbox.admin.rendering import label
from outbox.models import Message, Status

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Lazy

PENDING = Q(status=Status.PENDING, waits_for=None) | Q(status=Status.PENDING, waits_for__isnull=False)
"""All that are Pending, said so that the planner sees the two indexes that hold them."""

DUE = Q(status=Status.PENDING, waits_for=None, next_attempt_at__lte=Now())

SELECTIONS: dict[str, tuple[Lazy, Q]] = {
    "pending": (_("Pending"), PENDING),
    "due": (_("Pending, and due"), DUE),
    "later": (_("Pending, due later"), Q(status=Status.PENDING, waits_for=None, next_attempt_at__gt=Now())),
    "waiting": (_("Pending, held back"), Q(status=Status.PENDING, waits_for__isnull=False)),
    "retrying": (_("Pending, after a failure"), PENDING & Q(attempts__gt=0)),
    "processing": (_("Processing"), Q(status=Status.PROCESSING, consumed_at=None)),
    "unconsumed": (_("Sent, unconsumed"), Q(status=Status.SENT, consumed_at=None)),
    "consumed": (_("Sent and consumed"), Q(status=Status.SENT, consumed_at__isnull=False)),
    "dead": (_("Failed: dead letters"), Q(status=Status.FAILED, discarded_at=None)),
    "discarded": (_("Failed and discarded"), Q(status=Status.FAILED, discarded_at__isnull=False)),
}
"""What a list can be narrowed to: the value in its address, its name, the rows."""


def always(message: Message) -> bool:  # noqa: ARG001  (a condition's signature)
    """The condition of the look that is left."""
    return True


class Look(NamedTuple):
    """How a state is shown: when, as which word, in which colour, and what it means."""

    when: Callable[[Message], bool]
    text: Lazy
    colour: str
    meaning: Lazy


LOOKS = {
    Status.PENDING: [
        Look(
            lambda m: m.waits_for is not None,
            _("Pending · held back"),
            "",
            _("It waits for the message before it in its key, or for a pause to be lifted."),
        ),
        Look(lambda m: m.attempts == 0, _("Pending"), "info", _("Sent when it is due.")),
        Look(always, _("Pending"), "warning", _("Failed before; tried again when it is due.")),
    ],
    Status.PROCESSING: [
        Look(always, _("Processing"), "primary", _("A relay holds it under a lease.")),
    ],
    Status.SENT: [
        Look(
            lambda m: m.consumed_at is not None,
            _("Sent · consumed"),
            "success",
            _("Sent, and its work is done."),
        ),
        Look(
            lambda m: m.started_at is not None,
            _("Sent · running"),
            "primary",
            _("A consumer is at work on it."),
        ),
        Look(always, _("Sent · unconsumed"), "warning", _("Sent again unless it is consumed in time.")),
    ],
    Status.FAILED: [
        Look(lambda m: m.discarded_at is not None, _("Discarded"), "", _("Failed, and closed by a person.")),
        Look(always, _("Failed"), "danger", _("Given up: waits for a person.")),
    ],
}
"""For each status its looks, the first that applies being the one."""


def state_label(message: Message) -> SafeString:
    """The state as a coloured word, with its meaning on hover."""
    look = next(look for look in LOOKS[Status(message.status)] if look.when(message))
    return label(str(look.text), look.colour, title=str(look.meaning))
