"""The saga tables: an instance, its steps (one row for each step and direction reached), its history; and signals
that came from outside, and definitions that are paused."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, pgettext_lazy
from uuid_utils.compat import uuid7

from outbox.saga.dependencies.models import BreakerState, DependencyWait, Pace, Slot

__all__ = ["BreakerState", "DependencyWait", "Pace", "Saga", "SagaStep", "SagaTransition", "Slot"]


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


class SagaTransition(models.Model):
    """One thing that happened to a saga. Only ever added to, and numbered without gaps."""

    saga = models.ForeignKey(
        Saga,
        verbose_name=_("saga"),
        on_delete=models.CASCADE,
        related_name="transitions",
        db_index=False,  # its constraint's index begins with it
    )
    number = models.PositiveIntegerField(_("number"), help_text="From 1, without gaps.")
    at = models.DateTimeField(_("time"), db_default=Now())
    what = models.CharField(_("what happened"), max_length=40)
    step = models.CharField(_("step"), max_length=100, blank=True)
    direction = models.CharField(_("direction"), max_length=12, blank=True)
    attempt = models.PositiveIntegerField(_("attempt"), null=True)
    actor = models.CharField(
        _("actor"), max_length=200, blank=True, help_text="The worker, the watchdog, or a person."
    )
    detail = models.TextField(_("detail"), blank=True)
    traceparent = models.CharField("traceparent", max_length=55, blank=True)

    class Meta:
        verbose_name = _("saga transition")
        verbose_name_plural = _("saga transitions")
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint("saga", "number", name="saga_transition_once")]

    def __str__(self) -> str:
        return f"{self.what} {self.step}"


class SagaSignal(models.Model):
    """An outside event, kept until a step that waits for it takes it. May come before its saga does."""

    definition = models.CharField(_("definition"), max_length=100)
    key = models.CharField(_("key"), max_length=64)
    event = models.CharField(_("event"), max_length=100)
    signal_id = models.CharField(
        _("signal id"), max_length=200, help_text="Of whoever sent it: the same signal again does nothing."
    )
    payload = models.JSONField(_("payload"), null=True)
    received_at = models.DateTimeField(_("received at"), db_default=Now())
    taken_at = models.DateTimeField(_("taken at"), null=True, help_text="When a step took it.")

    class Meta:
        verbose_name = _("saga signal")
        verbose_name_plural = _("saga signals")
        constraints: ClassVar = [
            models.UniqueConstraint("definition", "key", "event", "signal_id", name="saga_signal_once")
        ]

    def __str__(self) -> str:
        return f"{self.event} for {self.definition} {self.key}"


class SagaPause(models.Model):
    """A definition that a person has paused: its sagas begin nothing until the pause has ended."""

    definition = models.CharField(_("definition"), max_length=100)
    actor = models.CharField(_("actor"), max_length=200)
    reason = models.TextField(_("reason"))
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    ended_at = models.DateTimeField(_("ended at"), null=True)
    ended_by = models.CharField(_("ended by"), max_length=200, blank=True, default="")
    end_reason = models.TextField(_("end reason"), blank=True, default="")

    class Meta:
        verbose_name = _("saga pause")
        verbose_name_plural = _("saga pauses")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["definition"], name="saga_paused_once", condition=Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.definition} is paused"
