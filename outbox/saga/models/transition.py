"""The history of a saga."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.saga.models.saga import Saga


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
