"""Definitions that are paused."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


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
