"""What an operator does with messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from outbox import redrive
from outbox.admin.operations import Operation, Outcome, note
from outbox.conf import conf
from outbox.database import atomic
from outbox.models import Message, Status

if TYPE_CHECKING:
    from django.contrib.auth.models import User

OPEN_FAILURE = Q(status=Status.FAILED, discarded_at=None)
WAITING = Q(status=Status.PENDING)


def _perform(
    change: Callable[[list[UUID], str], int], state: Q, said: str, user: User, ids: Sequence[Any], reason: str
) -> Outcome:
    """Change the messages that are in the state, and note it with each of them.

    They are locked first, so that the audit names exactly those that were changed. A message that somebody
    else holds right now is not waited for: it is just leaving the state.
    """
    rows = Message.objects.using(conf().DATABASE).filter(state, id__in=ids).only("id", "type")
    with atomic():
        held = list(rows.select_for_update(skip_locked=True))
        change([message.id for message in held], reason)
        note(user, held, said % {"reason": reason})
    return Outcome(len(held), len(ids) - len(held))


def _is_open_failure(message: Message) -> bool:
    return message.status == Status.FAILED and message.discarded_at is None


REDRIVE = Operation(
    name="redrive",
    label=_("Redrive"),
    permission="outbox.redrive_message",
    perform=partial(_perform, lambda ids, _reason: redrive.redrive(ids), OPEN_FAILURE, "Redriven."),
    applies=_is_open_failure,
    question=ngettext_lazy("Redrive %(count)d message?", "Redrive %(count)d messages?", "count"),
    explanation=_("Sent again at once, with a fresh set of attempts. Earlier errors stay in the history."),
    done=ngettext_lazy(
        "%(count)d message was redriven: it is sent again.",
        "%(count)d messages were redriven: they are sent again.",
        "count",
    ),
    refused=ngettext_lazy(
        "%(count)d message was not redriven: it is not Failed, or it is discarded.",
        "%(count)d messages were not redriven: they are not Failed, or they are discarded.",
        "count",
    ),
)

DISCARD = Operation(
    name="discard",
    label=_("Discard"),
    permission="outbox.discard_message",
    perform=partial(_perform, redrive.discard, OPEN_FAILURE, "Discarded: %(reason)s"),
    applies=_is_open_failure,
    question=ngettext_lazy("Discard %(count)d message?", "Discard %(count)d messages?", "count"),
    explanation=_("Closed for good: never sent again, and kept with the reason. This cannot be undone."),
    done=ngettext_lazy("%(count)d message was discarded.", "%(count)d messages were discarded.", "count"),
    refused=ngettext_lazy(
        "%(count)d message was not discarded: it is not Failed, or it is discarded already.",
        "%(count)d messages were not discarded: they are not Failed, or they are discarded already.",
        "count",
    ),
    needs_reason=True,
    is_dangerous=True,
)

SEND_NOW = Operation(
    name="send-now",
    label=_("Send now"),
    permission="outbox.send_message",
    perform=partial(_perform, lambda ids, _reason: redrive.send_now(ids), WAITING, "Made due at once."),
    applies=lambda message: message.status == Status.PENDING,
    question=ngettext_lazy("Send %(count)d message now?", "Send %(count)d messages now?", "count"),
    explanation=_("Due at once, however long it was to wait."),
    done=ngettext_lazy("%(count)d message is due now.", "%(count)d messages are due now.", "count"),
    refused=ngettext_lazy(
        "%(count)d message was left as it was: it is not Pending.",
        "%(count)d messages were left as they were: they are not Pending.",
        "count",
    ),
)

OPERATIONS = (REDRIVE, DISCARD, SEND_NOW)
