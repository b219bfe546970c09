"""The steps of a saga: one row for each step and direction reached."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from outbox.saga.models.saga import Saga


class SagaStep(models.Model):
    """A step that was reached, in one direction. Its attempts share one idempotency key and one message."""

    class Direction(models.TextChoices):
        ACTION = "action", pgettext_lazy("direction", "Action")
        COMPENSATION = "compensation", _("Compensation")

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", _("Scheduled")
        RUNNING = "running", _("Running")
        WAITING = "waiting", _("Waiting")  # for an outside event
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")  # refused: it certainly did not happen
        UNKNOWN = "unknown", _("Unknown")  # given up without an answer: it may have happened
        CANCELLED = "cancelled", _("Cancelled")  # called off before it started
        SKIPPED = "skipped", _("Skipped")  # passed over by a person, or by a wait whose time is over

    OPEN = (Status.SCHEDULED, Status.RUNNING, Status.WAITING)

    saga = models.ForeignKey(
        Saga,
        verbose_name=_("saga"),
        on_delete=models.CASCADE,
        related_name="steps",
        db_index=False,  # its constraint's index begins with it
    )
    name = models.CharField(_("name"), max_length=100)
    direction = models.CharField(_("direction"), max_length=12, choices=Direction)
    position = models.PositiveSmallIntegerField(_("position"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.SCHEDULED)
    attempt = models.PositiveIntegerField(
        _("attempt"),
        default=0,
        help_text="Number of the latest attempt. It only grows: it fences off late outcomes.",
    )
    tries = models.PositiveIntegerField(
        _("tries"),
        default=0,
        help_text="Attempts that count for the retry policy. A resume grants a fresh set.",
    )
    may_have_happened = models.BooleanField(
        _("may have happened"),
        default=False,
        help_text="An attempt ended without an answer. Stays, whatever later ones are told.",
    )
    asking = models.BooleanField(
        _("only asked"),
        default=False,
        help_text="Not tried any more: only asked whether it happened, before it is given up.",
    )
    held = models.BooleanField(
        _("held back"),
        default=False,
        help_text="Its command came while the saga was paused. It is sent again when it goes on.",
    )
    duplicates_refused = models.PositiveIntegerField(
        _("duplicates refused"),
        default=0,
        db_default=0,
        help_text="Deliveries that were duplicates, outdated or no longer wanted.",
    )
    outcomes_refused = models.PositiveIntegerField(
        _("outcomes refused"),
        default=0,
        db_default=0,
        help_text="Outcomes and heartbeats of attempts that had lost the step.",
    )
    event = models.CharField(
        _("event"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="The outside event that it waits for.",
    )
    message_id = models.UUIDField(
        _("message id"),
        null=True,
        help_text="The outbox message that runs it; also its task id in Flower. A wait has none.",
    )
    scheduled_at = models.DateTimeField(_("scheduled at"), db_default=Now())
    started_at = models.DateTimeField(_("started at"), null=True, help_text="Start of the latest attempt.")
    locked_until = models.DateTimeField(
        _("locked until"), null=True, help_text="End of the lease of the attempt at work, or of the wait."
    )
    ended_at = models.DateTimeField(_("ended at"), null=True)
    result = models.JSONField(_("result"), null=True)
    last_error = models.TextField(_("last error"), blank=True, default="")

    class Meta:
        verbose_name = _("saga step")
        verbose_name_plural = _("saga steps")
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(
                "locked_until", name="saga_step_leased", condition=Q(status__in=["running", "waiting"])
            ),
            models.Index("scheduled_at", name="saga_step_scheduled", condition=Q(status="scheduled")),
            models.Index("message_id", name="saga_step_message"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint("saga", "name", "direction", name="saga_step_once"),
            models.CheckConstraint(
                condition=~Q(status__in=["running", "waiting"]) | Q(locked_until__isnull=False),
                name="saga_running_step_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["scheduled", "running", "waiting"], ended_at=None)
                | Q(
                    status__in=["succeeded", "failed", "unknown", "cancelled", "skipped"],
                    ended_at__isnull=False,
                ),
                name="saga_step_ended_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status="waiting", message_id=None)
                | (~Q(status="waiting") & (Q(message_id__isnull=False) | ~Q(event=""))),
                name="saga_step_has_message_or_event",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.direction})"

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt, so that the outside world acts once."""
        return f"{self.saga_id}:{self.name}:{self.direction}"
