"""What an operator does with sagas: each is one transaction, with who and why in history and audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from outbox.admin.operations import Operation, Outcome, note
from outbox.conf import conf
from outbox.saga import operations
from outbox.saga.exceptions import SagaError, SagaRefused
from outbox.saga.models import Saga, SagaStep

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PERMISSION = "saga.operate_saga"
Status = Saga.Status
OPEN = (Status.RUNNING, Status.COMPENSATING)
STOPPED_STEP = ("failed", "unknown")


def perform(change: Callable[..., None], said: str, user: User, ids: Sequence[Any], reason: str) -> Outcome:
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


def steps_of(saga: Saga, *statuses: str) -> list[SagaStep]:
    """Its steps in one of the states, of the way that it is on."""
    steps = list(saga.steps.all())
    back = [step for step in steps if step.direction == SagaStep.Direction.COMPENSATION]
    return [step for step in back or steps if step.status in statuses]


def _cancel(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Call a saga off, unless somebody has: a second entry in the audit would claim what the first one did.

    Raises:
        SagaRefused: it is being called off, or it can no longer be; nothing was changed.
    """
    saga = Saga.objects.using(conf().DATABASE).select_for_update().get(pk=saga_id)
    if saga.cancel_requested or saga.status == Status.COMPENSATING:
        raise SagaRefused(gettext("It is being called off already."))
    operations.cancel(saga_id, actor=actor, reason=reason)


def _is_on_its_way(saga: Saga) -> bool:
    return saga.status in OPEN and saga.paused_at is None


def _turned_back(saga: Saga) -> bool:
    return any(step.direction == SagaStep.Direction.COMPENSATION for step in saga.steps.all())


RETRY_NOW = Operation(
    name="retry",
    label=_("Retry now"),
    permission=PERMISSION,
    perform=partial(perform, operations.retry_now, "Retried now: %(reason)s"),
    applies=lambda saga: _is_on_its_way(saga) and bool(steps_of(saga, "scheduled")),
    question=ngettext_lazy("Retry %(count)d saga now?", "Retry %(count)d sagas now?", "count"),
    explanation=_("The step that waits for its next attempt is due at once."),
    done=ngettext_lazy("%(count)d saga is tried again now.", "%(count)d sagas are tried again now.", "count"),
    refused=ngettext_lazy("%(count)d saga was not retried.", "%(count)d sagas were not retried.", "count"),
    needs_reason=True,
)

RESUME = Operation(
    name="resume",
    label=_("Resume"),
    permission=PERMISSION,
    perform=partial(perform, operations.resume, "Resumed: %(reason)s"),
    applies=lambda saga: saga.status == Status.NEEDS_ATTENTION,
    question=ngettext_lazy("Resume %(count)d saga?", "Resume %(count)d sagas?", "count"),
    explanation=_(
        "The step that it stopped at is tried again, with a fresh set of attempts and the same idempotency "
        "key, so that nothing outside happens twice."
    ),
    done=ngettext_lazy("%(count)d saga was resumed.", "%(count)d sagas were resumed.", "count"),
    refused=ngettext_lazy("%(count)d saga was not resumed.", "%(count)d sagas were not resumed.", "count"),
    needs_reason=True,
)

COMPENSATE = Operation(
    name="compensate",
    label=_("Compensate"),
    permission=PERMISSION,
    perform=partial(perform, operations.compensate_now, "Compensated: %(reason)s"),
    applies=lambda saga: saga.status == Status.NEEDS_ATTENTION and not _turned_back(saga),
    question=ngettext_lazy("Compensate %(count)d saga?", "Compensate %(count)d sagas?", "count"),
    explanation=_(
        "It turns back: what happened, or may have happened, is undone in reverse order. There is no way back once "
        "its pivot is done."
    ),
    done=ngettext_lazy("%(count)d saga turns back.", "%(count)d sagas turn back.", "count"),
    refused=ngettext_lazy(
        "%(count)d saga was not compensated.", "%(count)d sagas were not compensated.", "count"
    ),
    needs_reason=True,
    is_dangerous=True,
)

CANCEL = Operation(
    name="cancel",
    label=_("Cancel saga"),
    permission=PERMISSION,
    perform=partial(perform, _cancel, "Cancelled: %(reason)s"),
    applies=lambda saga: saga.status == Status.RUNNING and not saga.cancel_requested,
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

PAUSE = Operation(
    name="pause",
    label=_("Pause"),
    permission=PERMISSION,
    perform=partial(perform, operations.pause, "Paused: %(reason)s"),
    applies=_is_on_its_way,
    question=ngettext_lazy("Pause %(count)d saga?", "Pause %(count)d sagas?", "count"),
    explanation=_(
        "An attempt at work ends, and nothing begins until it goes on. Its time does not run meanwhile."
    ),
    done=ngettext_lazy("%(count)d saga is paused.", "%(count)d sagas are paused.", "count"),
    refused=ngettext_lazy("%(count)d saga was not paused.", "%(count)d sagas were not paused.", "count"),
    needs_reason=True,
)

UNPAUSE = Operation(
    name="unpause",
    label=_("End the pause"),
    permission=PERMISSION,
    perform=partial(perform, operations.unpause, "Pause ended: %(reason)s"),
    applies=lambda saga: saga.paused_at is not None and not saga.ended_at,
    question=ngettext_lazy("End the pause of %(count)d saga?", "End the pause of %(count)d sagas?", "count"),
    explanation=_("What was held begins, and its deadline is as far away as it was."),
    done=ngettext_lazy("%(count)d saga goes on.", "%(count)d sagas go on.", "count"),
    refused=ngettext_lazy("%(count)d saga was not paused.", "%(count)d sagas were not paused.", "count"),
    needs_reason=True,
)

OPERATIONS = (RETRY_NOW, RESUME, COMPENSATE, CANCEL, PAUSE, UNPAUSE)
"""What can be done to any number of sagas."""
