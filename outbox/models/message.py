"""The outbox table: one row is one message to one consumer, from its commit to its end."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from uuid_utils.compat import uuid7

from outbox.models.constraints import PartlyUnique
from outbox.models.functions import RandomUUID

DEFAULT_PRIORITY = 5
DISTRIBUTE = "outbox.distribute"
"""The task that gives a message without a consumer to all subscribers of its type."""


class Status(models.TextChoices):
    """The states of a message; ``docs/state-machines.md`` draws the ways between them."""

    PENDING = "pending", _("Pending")
    PROCESSING = "processing", _("Processing")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")


def addressed_to(task: str) -> Q:
    """Messages that a delivery to this task stands for; all, for an empty name.

    One without a consumer goes to the task that its type names, or to the one that gives it to all subscribers.
    """
    if not task:
        return Q()
    nobodys = Q(consumer="") if task == DISTRIBUTE else Q(consumer="", type=task)
    return Q(consumer=task) | nobodys


class Message(models.Model):
    """A message committed together with the business change that caused it.

    An unfinished row always has a due time (Pending: ``next_attempt_at``), a lease (Processing and Sent:
    ``locked_until``) or a person waiting (Failed). The constraints below hold that.

    Every column has a default in the database too, so that a row can be inserted by hand with a type and
    a payload alone.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, db_default=RandomUUID(), editable=False)
    type = models.CharField(
        _("type"), max_length=200, help_text="The event's or the task's name, such as orders.order_paid."
    )
    consumer = models.CharField(
        _("consumer"),
        max_length=200,
        blank=True,
        db_default="",
        help_text="The task that consumes it. Empty: every subscriber of the type.",
    )
    payload = models.JSONField(_("payload"), default=dict, db_default={}, blank=True)
    headers = models.JSONField(_("headers"), default=dict, db_default={}, blank=True)
    queue = models.CharField(
        _("queue"), max_length=100, blank=True, db_default="", help_text="Empty: the consumer's own queue."
    )
    priority = models.SmallIntegerField(
        _("priority"),
        default=DEFAULT_PRIORITY,
        db_default=DEFAULT_PRIORITY,
        help_text="0 first, 9 last, as Celery has it on Redis.",
    )
    correlation_id = models.CharField(
        _("correlation id"),
        max_length=64,
        blank=True,
        db_default="",
        help_text="What it belongs to, such as an order's id.",
    )
    key = models.CharField(
        _("key"),
        max_length=200,
        blank=True,
        db_default="",
        help_text="Messages of one key reach their consumer one after the other. Empty: in no order.",
    )
    blocks_key = models.BooleanField(
        _("blocks key"),
        default=True,
        db_default=True,
        help_text="Whether, once Failed, it holds back the later ones of its key.",
    )
    schedule_key = models.CharField(
        _("schedule key"),
        max_length=200,
        null=True,
        blank=True,
        help_text="The caller's name for it while it waits: to cancel it, or to replace it.",
    )

    status = models.CharField(
        _("status"), max_length=10, choices=Status, default=Status.PENDING, db_default=Status.PENDING
    )
    occurred_at = models.DateTimeField(_("occurred at"), db_default=Now(), editable=False)
    next_attempt_at = models.DateTimeField(
        _("next attempt at"), db_default=Now(), help_text="When it is due, while Pending."
    )
    waits_for = models.UUIDField(
        _("waits for"),
        null=True,
        editable=False,
        help_text="The message before it in its key, or the pause that holds it back, while Pending.",
    )
    put_off_until = models.DateTimeField(
        _("put off until"),
        null=True,
        editable=False,
        help_text="Its latest slot in the line of a rate limit.",
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0, db_default=0, editable=False)
    redriven_after = models.PositiveIntegerField(
        _("redriven after"),
        default=0,
        db_default=0,
        editable=False,
        help_text="Attempts before it was last redriven: they no longer count.",
    )
    resends = models.PositiveSmallIntegerField(
        _("resends"),
        default=0,
        db_default=0,
        editable=False,
        help_text="Times it was sent again because nobody had consumed it.",
    )
    lock_id = models.UUIDField(
        _("lock id"), null=True, editable=False, help_text="The fencing value of whoever holds it."
    )
    locked_by = models.CharField(
        _("locked by"),
        max_length=200,
        blank=True,
        db_default="",
        editable=False,
        help_text="The relay or worker that held it last.",
    )
    locked_until = models.DateTimeField(
        _("locked until"),
        null=True,
        editable=False,
        help_text="End of the relay's lease, of the wait for a consumer, or of its lease.",
    )
    sent_at = models.DateTimeField(_("sent at"), null=True, editable=False)
    started_at = models.DateTimeField(
        _("started at"), null=True, editable=False, help_text="When a leased consumer took it up."
    )
    consumed_at = models.DateTimeField(
        _("consumed at"), null=True, editable=False, help_text="Committed together with the effect."
    )
    discarded_at = models.DateTimeField(
        _("discarded at"), null=True, editable=False, help_text="Closed by a person, or revoked."
    )
    last_error = models.TextField(_("last error"), blank=True, db_default="", editable=False)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        permissions: ClassVar = [
            ("redrive_message", gettext_noop("Can send a failed message again")),
            ("discard_message", gettext_noop("Can close a failed message for good")),
            ("send_message", gettext_noop("Can make a waiting message due now")),
            ("view_personal", gettext_noop("Can see personal data in messages, results and sagas")),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["priority", "next_attempt_at", "id"],
                name="outbox_due",
                condition=Q(status=Status.PENDING, waits_for=None),
            ),
            models.Index(
                fields=["type", "next_attempt_at"],
                name="outbox_put_off",
                condition=Q(status=Status.PENDING, put_off_until__isnull=False),
            ),
            models.Index(fields=["waits_for"], name="outbox_waiting", condition=Q(waits_for__isnull=False)),
            models.Index(
                fields=["consumer", "key", "occurred_at", "id"],
                name="outbox_key",
                condition=~Q(key="") & Q(consumed_at=None, discarded_at=None),
            ),
            models.Index(
                fields=["consumed_at"], name="outbox_consumed", condition=Q(consumed_at__isnull=False)
            ),
            models.Index(
                fields=["locked_until"],
                name="outbox_leased",
                condition=Q(status__in=[Status.PROCESSING, Status.SENT], consumed_at=None),
            ),
            models.Index(fields=["id"], name="outbox_failed", condition=Q(status=Status.FAILED)),
            models.Index(
                fields=["correlation_id"], name="outbox_correlation", condition=~Q(correlation_id="")
            ),
        ]
        constraints: ClassVar = [
            PartlyUnique(
                fields=["consumer", "key"],
                name="outbox_one_of_key_on_its_way",
                condition=~Q(key="")
                & Q(status__in=[Status.PROCESSING, Status.SENT], consumed_at=None, discarded_at=None),
            ),
            PartlyUnique(
                fields=["consumer", "schedule_key"],
                name="outbox_schedule_key",
                condition=Q(schedule_key__isnull=False),
            ),
            models.CheckConstraint(
                condition=Q(waits_for=None) | Q(status=Status.PENDING), name="outbox_only_pending_waits"
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="outbox_status_known"),
            models.CheckConstraint(condition=Q(priority__range=(0, 9)), name="outbox_priority_range"),
            models.CheckConstraint(
                condition=~Q(status=Status.PROCESSING) | Q(lock_id__isnull=False, locked_until__isnull=False),
                name="outbox_processing_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.SENT) | Q(sent_at__isnull=False), name="outbox_sent_has_time"
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.SENT)
                | Q(consumed_at__isnull=False)
                | Q(locked_until__isnull=False),
                name="outbox_unconsumed_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(consumed_at=None) | Q(status=Status.SENT, lock_id=None, locked_until=None),
                name="outbox_consumed_is_closed",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[Status.PROCESSING, Status.SENT]) | Q(lock_id=None, locked_until=None),
                name="outbox_waiting_is_free",
            ),
            models.CheckConstraint(
                condition=Q(discarded_at=None) | Q(status=Status.FAILED), name="outbox_discarded_is_failed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"
