"""An instance of a saga definition."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from uuid_utils.compat import uuid7


class Saga(models.Model):
    """A running or ended instance of a saga definition."""

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        COMPENSATING = "compensating", _("Compensating")
        COMPLETED = "completed", _("Completed")
        COMPENSATED = "compensated", _("Compensated")
        NEEDS_ATTENTION = "needs_attention", _("Needs attention")

    ENDED = (Status.COMPLETED, Status.COMPENSATED)

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    definition = models.CharField(_("definition"), max_length=100)
    version = models.PositiveIntegerField(_("version"), default=1)
    key = models.CharField(
        _("key"), max_length=64, help_text="The business thing it works on, such as an order's id."
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.RUNNING)
    context = models.JSONField(
        _("context"), default=dict, blank=True, help_text="The result of each step that succeeded."
    )
    reason = models.TextField(_("reason"), blank=True, default="", help_text="Why it compensates.")
    attention = models.TextField(_("attention"), blank=True, default="", help_text="Why it needs a person.")
    cancel_requested = models.BooleanField(_("cancel requested"), default=False)
    context_version = models.PositiveIntegerField(
        _("context version"), default=1, help_text="Of the shape of the context."
    )
    paused_at = models.DateTimeField(
        _("paused at"), null=True, help_text="Since when a person holds it: nothing begins."
    )
    revision = models.PositiveIntegerField(
        _("revision"),
        default=0,
        db_default=0,
        help_text="Grows with each transaction on it, so that a stale read is noticed.",
    )
    entries = models.PositiveIntegerField(
        _("entries"), default=0, db_default=0, help_text="How many entries its history has."
    )
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    deadline_at = models.DateTimeField(_("deadline at"), help_text="When the watchdog stops waiting for it.")
    ended_at = models.DateTimeField(_("ended at"), null=True)
    history_pruned_at = models.DateTimeField(
        _("history pruned at"),
        null=True,
        editable=False,
        help_text="When its steps and transitions were deleted, long after its end.",
    )

    class Meta:
        verbose_name = _("saga")
        verbose_name_plural = _("sagas")
        permissions: ClassVar = [
            ("operate_saga", gettext_noop("Can operate sagas: retry, skip, resume, cancel, pause"))
        ]
        indexes: ClassVar = [
            models.Index(
                "deadline_at", name="saga_open_deadline", condition=Q(status__in=["running", "compensating"])
            ),
            models.Index("status", name="saga_attention", condition=Q(status="needs_attention")),
            models.Index(
                "ended_at",
                name="saga_to_prune",
                condition=Q(ended_at__isnull=False, history_pruned_at=None),
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint("definition", "key", name="saga_one_per_key"),
            models.CheckConstraint(
                condition=Q(status__in=["completed", "compensated"], ended_at__isnull=False)
                | Q(status__in=["running", "compensating", "needs_attention"], ended_at=None),
                name="saga_ended_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.definition} {self.key}"
