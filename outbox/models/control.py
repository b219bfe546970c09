"""What an operator tells the relays at run time: pauses and rate limits."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class Pause(models.Model):
    """Messages of a type, a queue or a key are not sent until it is lifted.

    A message that meets a pause names it in ``waits_for``: it leaves the index of due rows, so that a long pause costs
    the others nothing.
    """

    class Scope(models.TextChoices):
        TYPE = "type", _("Type")
        QUEUE = "queue", _("Queue")
        KEY = "key", _("Key")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    scope = models.CharField(_("scope"), max_length=10, choices=Scope)
    value = models.CharField(_("value"), max_length=200)
    reason = models.TextField(_("reason"))
    paused_by = models.CharField(_("paused by"), max_length=200, blank=True)
    paused_at = models.DateTimeField(_("paused at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        permissions: ClassVar = [("control_relay", gettext_noop("Can pause messages and limit their rate"))]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "value"], name="outbox_pause_once"),
            models.CheckConstraint(
                condition=Q(scope__in=["type", "queue", "key"]), name="outbox_pause_scope_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{gettext(self.scope)} {self.value}"


class RateLimit(models.Model):
    """At most so many messages of a type are sent in a second, by all relays together: a token bucket."""

    type = models.CharField(_("type"), max_length=200, primary_key=True)
    per_second = models.FloatField(_("per second"))
    burst = models.PositiveIntegerField(
        _("burst"), default=1, help_text="How many may go at once after a quiet time."
    )
    tokens = models.FloatField(_("tokens"), default=0, editable=False)
    refilled_at = models.DateTimeField(_("refilled at"), db_default=Now(), editable=False)
    last_slot_at = models.DateTimeField(
        _("last slot at"),
        db_default=Now(),
        editable=False,
        help_text="Until when messages are put off already.",
    )
    last_return_at = models.DateTimeField(
        _("last return at"),
        db_default=Now(),
        editable=False,
        help_text="Until when those have slots that had missed theirs.",
    )
    reason = models.TextField(_("reason"), blank=True)
    set_by = models.CharField(_("set by"), max_length=200, blank=True)
    set_at = models.DateTimeField(_("set at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("rate limit")
        verbose_name_plural = _("rate limits")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(per_second__gt=0), name="outbox_rate_positive"),
            models.CheckConstraint(condition=Q(burst__gte=1), name="outbox_burst_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.type}: {self.per_second:g}/s"
