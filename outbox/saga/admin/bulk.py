"""An operation on everything that a filter shows: counted first, then done batch by batch, each a request of its own.

The count is the dry run: it fixes the newest saga that is meant, so that nothing is changed that came later. Between
two batches the page shows how far it is, and goes on by itself; without a script there is a button. Whoever closes the
page stops it: what was done stays done, and is in the audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from outbox.admin.operating import ReasonForm
from outbox.admin.operations import Operation
from outbox.saga.admin.operations import (
    CANCEL,
    COMPENSATE,
    OPEN,
    PAUSE,
    PERMISSION,
    RESUME,
    RETRY_NOW,
    UNPAUSE,
    Status,
)
from outbox.saga.models import Saga

BATCH = 100
"""Sagas of one request."""
MOST_COUNTED = 100_000
MOST_TOLD = 5
"""Refusals that are told with their reasons."""

APPLY_TO: dict[str, tuple[Operation, Q]] = {
    RESUME.name: (RESUME, Q(status=Status.NEEDS_ATTENTION)),
    COMPENSATE.name: (COMPENSATE, Q(status=Status.NEEDS_ATTENTION)),
    CANCEL.name: (CANCEL, Q(status=Status.RUNNING, cancel_requested=False)),
    RETRY_NOW.name: (RETRY_NOW, Q(status__in=OPEN, steps__status="scheduled")),
    PAUSE.name: (PAUSE, Q(status__in=OPEN, paused_at=None)),
    UNPAUSE.name: (UNPAUSE, Q(paused_at__isnull=False, ended_at=None)),
}
"""Operations by name, with the sagas that each is for."""


class BulkForm(ReasonForm):
    """What to do, and why; and, once it is under way, how far it is."""

    operation = forms.ChoiceField(label=gettext_lazy("What to do"), widget=UnfoldAdminSelectWidget)
    last = forms.UUIDField(required=False, widget=forms.HiddenInput)
    after = forms.UUIDField(required=False, widget=forms.HiddenInput)
    done = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    refused = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    total = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    field_order = ("operation", "reason")

    def __init__(self, rows: QuerySet[Saga], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        counts = {name: meant(rows, name)[:MOST_COUNTED].count() for name in APPLY_TO}
        choice = self.fields["operation"]
        if isinstance(choice, forms.ChoiceField):
            choice.choices = [
                (name, f"{operation.label} ({counts[name]:,})")
                for name, (operation, _rows) in APPLY_TO.items()
                if counts[name] or name == self.data.get("operation")
            ]


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Args:
        done, refused: so far.
        total: by the count.
        after: key of the last saga that was looked at; ``None`` when it is over.
        told: reasons of refusals in this batch.
    """

    done: int
    refused: int
    total: int
    after: UUID | None
    told: tuple[str, ...] = ()

    @property
    def percent(self) -> int:
        """Of the count."""
        return min(100, 100 * (self.done + self.refused) // max(1, self.total))


def require_permission(user: User | AnonymousUser) -> None:
    """Every operation here has the same one.

    Raises:
        PermissionDenied: the user lacks it.
    """
    if not user.has_perm(PERMISSION):
        raise PermissionDenied(f"{user} has no permission {PERMISSION}.")


def meant(rows: QuerySet[Saga], name: str) -> QuerySet[Saga]:
    """Those of the rows that the operation is for, in the order in which it takes them."""
    return rows.filter(APPLY_TO[name][1]).order_by("id").distinct()


def newest(rows: QuerySet[Saga], name: str) -> UUID | None:
    """The last saga that is meant now; those that come later are not."""
    return meant(rows, name).order_by("-id").values_list("id", flat=True).first()


def run_batch(user: User | AnonymousUser, rows: QuerySet[Saga], given: dict[str, Any]) -> Progress:
    """Do it to the next batch.

    Args:
        rows: what the filter shows.
        given: the form's answers.
    """
    operation, _rows = APPLY_TO[given["operation"]]
    left = meant(rows, operation.name).filter(id__lte=given["last"])
    if given["after"]:
        left = left.filter(id__gt=given["after"])
    ids = list(left.values_list("id", flat=True)[:BATCH])
    outcome = operation.run(user, ids, given["reason"]) if ids else None
    return Progress(
        done=(given["done"] or 0) + (outcome.changed if outcome else 0),
        refused=(given["refused"] or 0) + (outcome.refused if outcome else 0),
        total=given["total"] or 0,
        after=ids[-1] if len(ids) == BATCH else None,
        told=outcome.explanations[:MOST_TOLD] if outcome else (),
    )


def in_words(operation: Operation, progress: Progress) -> str:
    """What was done, at the end."""
    said = operation.done % {"count": progress.done}
    if progress.refused:
        said = f"{said} {operation.refused % {'count': progress.refused}}"
    return str(said) if progress.done or progress.refused else _("Nothing matched any more.")
