"""Signals that came from outside."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


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
