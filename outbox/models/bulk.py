"""What an operator does to everything that matches a filter."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class BulkOperation(models.Model):
    """A redrive or a discard of all Failed messages that matched when it was asked for.

    It works through them in the order of their keys, in short transactions that also move ``cursor``: so each message
    is changed at most once, also one that fails again meanwhile, and a crash loses nothing.
    """

    class Kind(models.TextChoices):
        REDRIVE = "redrive", _("Redrive")
        DISCARD = "discard", _("Discard")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    query = models.TextField(_("query"), blank=True, help_text="The filters, as in the address of the list.")
    reason = models.TextField(_("reason"))
    per_second = models.FloatField(
        _("per second"), null=True, help_text="How many in a second. Empty: as quickly as it goes."
    )
    expected = models.PositiveIntegerField(_("expected"), help_text="How many matched when it was asked for.")
    done = models.PositiveIntegerField(_("changed"), default=0, help_text="How many were changed.")
    passed_over = models.PositiveIntegerField(
        _("passed over"), default=0, help_text="How many somebody else held at that moment."
    )
    cursor = models.UUIDField(_("cursor"), null=True, help_text="The message that was changed last.")
    last = models.UUIDField(_("last key"), help_text="The greatest key there was when it was asked for.")
    turn = models.PositiveIntegerField(
        _("turn"), default=0, help_text="The fence: only the latest turn goes on."
    )
    asked_by = models.CharField(_("asked by"), max_length=200)
    asked_at = models.DateTimeField(_("asked at"), db_default=Now(), editable=False)
    moved_at = models.DateTimeField(_("moved at"), null=True, help_text="When it changed something last.")
    ended_at = models.DateTimeField(_("ended at"), null=True)
    stopped_by = models.CharField(_("stopped by"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("bulk operation")
        verbose_name_plural = _("bulk operations")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=["redrive", "discard"]), name="outbox_bulk_kind_known"
            ),
        ]

    def __str__(self) -> str:
        said = (
            gettext("Discard of %(count)s")
            if self.kind == self.Kind.DISCARD
            else gettext("Redrive of %(count)s")
        )
        return said % {"count": f"{self.expected:,}"}
