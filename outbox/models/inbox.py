"""Messages that come from elsewhere, remembered so that each takes effect once."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class InboxMessage(models.Model):
    """A foreign message that a consumer has taken: written in the transaction of its effect."""

    consumer = models.CharField(_("consumer"), max_length=200)
    message_id = models.CharField(_("message id"), max_length=200, help_text="As its sender named it.")
    received_at = models.DateTimeField(_("received at"), db_default=Now(), db_index=True)

    class Meta:
        verbose_name = _("inbox message")
        verbose_name_plural = _("inbox messages")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["consumer", "message_id"], name="outbox_inbox_once"),
        ]

    def __str__(self) -> str:
        return f"{self.consumer} {self.message_id}"
