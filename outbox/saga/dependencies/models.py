"""The tables of the dependencies: breakers, slots, paces, and the steps that wait."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class BreakerState(models.Model):
    """The breaker of a service. A service without a row has never failed: its breaker is closed."""

    class State(models.TextChoices):
        CLOSED = "closed", "Closed"
        OPEN = "open", "Open"
        HALF_OPEN = "half_open", "Half-open"

    name = models.CharField(max_length=100, primary_key=True)
    state = models.CharField(max_length=10, choices=State, db_default=State.CLOSED)
    failures = models.PositiveIntegerField(db_default=0, help_text="In a row, without an answer in between.")
    last_failed_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, db_default="")
    opened_at = models.DateTimeField(null=True, help_text="Since when it has not been closed.")
    open_until = models.DateTimeField(null=True, help_text="Then one probe is let through.")
    cooldown = models.FloatField(db_default=0.0, help_text="Seconds of the latest pause.")
    probe = models.UUIDField(null=True, help_text="Who holds the probe's permit.")
    probe_until = models.DateTimeField(null=True, help_text="Then the permit of a dead probe is free again.")
    closed_at = models.DateTimeField(null=True, help_text="When the service came back: the ramp's beginning.")
    tickets = models.PositiveIntegerField(db_default=0, help_text="Places on the ramp given away.")

    class Meta:
        db_table = "saga_breaker"
        verbose_name = "breaker"
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

    dependency = models.CharField(max_length=100)
    key = models.CharField(max_length=100, blank=True, help_text="Empty: the whole service.")
    number = models.PositiveIntegerField()
    holder = models.UUIDField(null=True)
    held_until = models.DateTimeField(db_default=Now(), help_text="Then it is free, whoever holds it.")

    class Meta:
        db_table = "saga_slot"
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

    dependency = models.CharField(max_length=100)
    key = models.CharField(max_length=100, blank=True, help_text="Empty: the whole service.")
    next_at = models.DateTimeField()

    class Meta:
        db_table = "saga_pace"
        constraints: ClassVar = [models.UniqueConstraint("dependency", "key", name="saga_pace_once")]

    def __str__(self) -> str:
        return f"{self.dependency} {self.key}"


class DependencyWait(models.Model):
    """A step that waits for its service. It counts while the step is still scheduled."""

    class Reason(models.TextChoices):
        AWAY = "away", "The service is away"
        TURN = "turn", "Its turn comes"
        SLOT = "slot", "All slots are taken"

    step = models.OneToOneField(
        "saga.SagaStep", on_delete=models.CASCADE, primary_key=True, related_name="waits_for"
    )
    dependency = models.CharField(max_length=100)
    reason = models.CharField(max_length=4, choices=Reason)
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(help_text="When it asks again, if nobody wakes it before.")
    ticket_at = models.DateTimeField(null=True, help_text="Its place in the queue: then it may go.")

    class Meta:
        db_table = "saga_dependency_wait"
        indexes: ClassVar = [models.Index("dependency", "since", name="saga_dependency_waiting")]

    def __str__(self) -> str:
        return f"{self.step_id} waits for {self.dependency}"
