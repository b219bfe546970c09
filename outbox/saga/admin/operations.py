"""What an operator does with sagas: each is one transaction, with who and why in history and audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from outbox.admin.operations import Operation, Outcome, note
from outbox.conf import conf
from outbox.saga import operations
from outbox.saga.exceptions import SagaError, SagaRefused
from outbox.saga.models import Saga

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def _perform(change: Callable[..., None], said: str, user: User, ids: Sequence[Any], reason: str) -> Outcome:
    """Change each saga in a savepoint of its own: one that is refused leaves the others alone.

    They are taken in the order of their keys, so that two operators never wait for each other in a circle.
    """
    refusals = []
    for saga in Saga.objects.using(conf().DATABASE).filter(id__in=ids).order_by("id"):
        try:
            with transaction.atomic(using=conf().DATABASE):
                change(saga.id, actor=user.get_username(), reason=reason)
                note(user, [saga], said % {"reason": reason})
        except SagaError as error:
            refusals.append(f"{saga}: {error}")
    return Outcome(len(ids) - len(refusals), len(refusals), tuple(refusals))


def _cancel(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Call a saga off, unless somebody has: a second entry in the audit would claim what the first one did.

    Raises:
        SagaRefused: it is being called off, or it can no longer be; nothing was changed.
    """
    saga = Saga.objects.using(conf().DATABASE).select_for_update().get(pk=saga_id)
    if saga.cancel_requested or saga.status == Saga.Status.COMPENSATING:
        raise SagaRefused("It is being called off already.")
    operations.cancel(saga_id, actor=actor, reason=reason)


RESUME = Operation(
    name="resume",
    label=_("Resume"),
    permission="saga.operate_saga",
    perform=partial(_perform, operations.resume, "Resumed: %(reason)s"),
    applies=lambda saga: saga.status == Saga.Status.NEEDS_ATTENTION,
    question=ngettext_lazy("Resume %(count)d saga?", "Resume %(count)d sagas?", "count"),
    explanation=_(
        "The step that it stopped at is tried again, with a fresh set of attempts and the same idempotency "
        "key, so that nothing outside happens twice."
    ),
    done=ngettext_lazy("%(count)d saga was resumed.", "%(count)d sagas were resumed.", "count"),
    refused=ngettext_lazy("%(count)d saga was not resumed.", "%(count)d sagas were not resumed.", "count"),
    needs_reason=True,
)

CANCEL = Operation(
    name="cancel",
    label=_("Cancel saga"),
    permission="saga.operate_saga",
    perform=partial(_perform, _cancel, "Cancelled: %(reason)s"),
    applies=lambda saga: saga.status == Saga.Status.RUNNING and not saga.cancel_requested,
    question=ngettext_lazy("Cancel %(count)d saga?", "Cancel %(count)d sagas?", "count"),
    explanation=_(
        "What was done so far is undone, in reverse order. A step that is at work right now ends first."
    ),
    done=ngettext_lazy(
        "%(count)d saga is called off: what was done is being undone.",
        "%(count)d sagas are called off: what was done is being undone.",
        "count",
    ),
    refused=ngettext_lazy(
        "%(count)d saga was not cancelled.", "%(count)d sagas were not cancelled.", "count"
    ),
    needs_reason=True,
    is_dangerous=True,
)

OPERATIONS = (RESUME, CANCEL)
