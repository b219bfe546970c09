"""What went wrong at each attempt of a message."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message


class Attempt(models.Model):
    """An attempt that failed. Attempts that succeeded leave their times on the message itself.

    One that only met nobody who knows the message (``UNKNOWN``) is refunded: its number comes again.
    """

    class Stage(models.TextChoices):
        SEND = "send", _("Sending")
        CONSUME = "consume", _("Consuming")
        LOST = "lost", _("Lease lost")
        UNKNOWN = "unknown", _("Not known")

    message = models.ForeignKey(
        Message, verbose_name=_("message"), on_delete=models.CASCADE, related_name="failed_attempts"
    )
    number = models.PositiveIntegerField(_("number"))
    stage = models.CharField(_("stage"), max_length=10, choices=Stage)
    error = models.TextField(_("error"))
    worker = models.CharField(_("worker"), max_length=200, blank=True)
    failed_at = models.DateTimeField(_("failed at"), db_default=Now())

    class Meta:
        verbose_name = _("failed attempt")
        verbose_name_plural = _("failed attempts")
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.message_id}"
