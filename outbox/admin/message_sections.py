"""The parts of a message's page below its fields."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin.ids import cause_of
from outbox.admin.links import messages_url
from outbox.admin.privacy import hidden_text
from outbox.admin.rendering import Section, anchor, long_text, moment, shortened, table
from outbox.admin.states import state_label
from outbox.conf import conf
from outbox.models import Message

__all__ = ["messages_url", "related_messages", "sections_of"]

MOST_ATTEMPTS = 100
MOST_RELATED = 50
MOST_LOOKED_AT = 2_000
STAGES = {
    "send": gettext_lazy("Sending"),
    "consume": gettext_lazy("Consuming"),
    "lost": gettext_lazy("Lease lost"),
    "unknown": gettext_lazy("Not known"),
}


def sections_of(message: Message) -> Iterator[Section]:
    """Its failed attempts, and the messages that belong to the same thing."""
    yield _failed_attempts(message)
    yield _lineage(message)


def related_messages(correlation_id: str) -> Section:
    """The messages of one business thing, oldest first, for whatever page shows that thing."""
    related = list(_correlated(correlation_id))
    return Section(
        _("Messages"), table(_headers()[1:], [_row(m)[1:] for m in related], empty=_("There are none."))
    )


def _failed_attempts(message: Message) -> Section:
    attempts = message.failed_attempts.order_by("-id")[:MOST_ATTEMPTS]
    rows = [
        (
            a.number,
            STAGES.get(a.stage, a.stage),
            long_text(hidden_text(message, a.error)),
            shortened(a.worker, 40),
            moment(a.failed_at),
        )
        for a in attempts
    ]
    headers = (_("Attempt"), _("Stage"), _("Error"), _("Worker"), _("Time"))
    return Section(_("Failed attempts"), table(headers, rows, empty=_("No attempt has failed.")))


def _lineage(message: Message) -> Section:
    """What caused it, what it caused, and what else belongs to the same thing."""
    cause = cause_of(message)
    related = {m.id: m for m in _messages().filter(id=cause)} if cause else {}
    if message.correlation_id:
        related |= {m.id: m for m in _correlated(message.correlation_id)}
    related |= {m.id: m for m in _caused_by(message)}
    rows = [_row(m, _relation(message, m)) for m in sorted(related.values(), key=lambda m: m.id)]
    empty = (
        _("The message that caused it is gone.") if cause else _("It caused nothing, and nothing caused it.")
    )
    return Section(_("Lineage"), table(_headers(), rows, empty=empty))


def _caused_by(message: Message) -> list[Message]:
    """What was published while it was consumed: of the same thing, else among the messages that came soon after.

    The cause stands in the headers, which have no index: few rows are looked at.
    """
    if message.correlation_id:
        near = _messages().filter(correlation_id=message.correlation_id)
    else:
        later = _messages().filter(pk__gt=message.pk).order_by("pk")
        near = _messages().filter(pk__in=later.values("pk")[:MOST_LOOKED_AT])
    return list(near.filter(headers__causation_id=str(message.pk)).order_by("id")[:MOST_RELATED])


def _relation(message: Message, other: Message) -> str:
    """What another message is to this one."""
    if other.id == message.id:
        return _("this message")
    if other.id == cause_of(message):
        return _("caused it")
    return _("caused by it") if cause_of(other) == message.id else ""


def _headers() -> list[str]:
    return ["", _("Type"), _("Consumer"), _("State"), _("Attempts"), _("Written")]


def _row(message: Message, relation: str = "") -> tuple[object, ...]:
    url = reverse("admin:outbox_message_change", args=[message.id])
    return (
        relation,
        anchor(url, message.type),
        message.consumer if message.consumer != message.type else "",
        state_label(message),
        message.attempts,
        moment(message.occurred_at),
    )


def _correlated(correlation_id: str) -> list[Message]:
    return list(_messages().filter(correlation_id=correlation_id).order_by("id")[:MOST_RELATED])


def _messages() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE).defer("payload")
