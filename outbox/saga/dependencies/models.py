"""The tables of the dependencies: breakers, slots, paces, and the steps that wait."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class BreakerState(models.Model):
    """The breaker of a service. A service without a row has never failed: its breaker is closed."""

    class State(models.TextChoices):
        CLOSED = "closed", _("Closed")
        OPEN = "open", _("Open")
        HALF_OPEN = "half_open", _("Half-open")

    name = models.CharField(_("name"), max_length=100, primary_key=True)
    state = models.CharField(_("state"), max_length=10, choices=State, db_default=State.CLOSED)
    failures = models.PositiveIntegerField(
        _("failures"), db_default=0, help_text="In a row, without an answer in between."
    )
    last_failed_at = models.DateTimeField(_("last failed at"), null=True)
    last_error = models.TextField(_("last error"), blank=True, db_default="")
    opened_at = models.DateTimeField(
        _("opened at"), null=True, help_text="Since when it has not been closed."
    )
    open_until = models.DateTimeField(_("open until"), null=True, help_text="Then one probe is let through.")
    cooldown = models.FloatField(_("cooldown"), db_default=0.0, help_text="Seconds of the latest pause.")
    probe = models.UUIDField(_("probe"), null=True, help_text="Who holds the probe's permit.")
    probe_until = models.DateTimeField(
        _("probe until"), null=True, help_text="Then the permit of a dead probe is free again."
    )
    closed_at = models.DateTimeField(
        _("closed at"), null=True, help_text="When the service came back: the ramp's beginning."
    )
    tickets = models.PositiveIntegerField(
        _("tickets"), db_default=0, help_text="Places on the ramp given away."
    )

    class Meta:
        db_table = "saga_breaker"
        verbose_name = _("breaker")
        verbose_name_plural = _("breakers")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~Q(state="open") | Q(open_until__isnull=False, opened_at__isnull=False),
                name="saga_breaker_open_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(state="half_open") | Q(probe__isnull=False, probe_until__isnull=False),
                name="saga_breaker_probe_has_lease",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class Slot(models.Model):
    """One of the attempts that a service may have at a time: as many rows as its limit allows."""

    dependency = models.CharField(_("dependency"), max_length=100)
    key = models.CharField(_("key"), max_length=100, blank=True, help_text="Empty: the whole service.")
    number = models.PositiveIntegerField(_("number"))
    holder = models.UUIDField(_("holder"), null=True)
    held_until = models.DateTimeField(
        _("held until"), db_default=Now(), help_text="Then it is free, whoever holds it."
    )

    class Meta:
        db_table = "saga_slot"
        verbose_name = _("slot")
        verbose_name_plural = _("slots")
        indexes: ClassVar = [
            models.Index("holder", name="saga_slot_holder", condition=Q(holder__isnull=False))
        ]
        constraints: ClassVar = [
            models.UniqueConstraint("dependency", "key", "number", name="saga_slot_once")
        ]

    def __str__(self) -> str:
        return f"{self.dependency} {self.key} {self.number}"


class Pace(models.Model):
    """When the next attempt of a service with a rate limit may begin."""

    dependency = models.CharField(_("dependency"), max_length=100)
    key = models.CharField(_("key"), max_length=100, blank=True, help_text="Empty: the whole service.")
    next_at = models.DateTimeField(_("next at"))

    class Meta:
        db_table = "saga_pace"
        verbose_name = _("pace")
        verbose_name_plural = _("paces")
        constraints: ClassVar = [models.UniqueConstraint("dependency", "key", name="saga_pace_once")]

    def __str__(self) -> str:
        return f"{self.dependency} {self.key}"


class DependencyWait(models.Model):
    """A step that waits for its service. It counts while the step is still scheduled."""

    class Reason(models.TextChoices):
        AWAY = "away", _("The service is away")
        TURN = "turn", _("Its turn comes")
        SLOT = "slot", _("All slots are taken")

    step = models.OneToOneField(
        "saga.SagaStep",
        verbose_name=_("step"),
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="waits_for",
    )
    dependency = models.CharField(_("dependency"), max_length=100)
    reason = models.CharField(_("reason"), max_length=4, choices=Reason)
    since = models.DateTimeField(_("since"), db_default=Now())
    until = models.DateTimeField(_("until"), help_text="When it asks again, if nobody wakes it before.")
    ticket_at = models.DateTimeField(
        _("ticket at"), null=True, help_text="Its place in the queue: then it may go."
    )

    class Meta:
        db_table = "saga_dependency_wait"
        verbose_name = _("dependency wait")
        verbose_name_plural = _("dependency waits")
        indexes: ClassVar = [models.Index("dependency", "since", name="saga_dependency_waiting")]

    def __str__(self) -> str:
        return f"{self.step_id} waits for {self.dependency}"
