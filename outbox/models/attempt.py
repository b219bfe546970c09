"""What went wrong at each attempt of a message."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from outbox.models.message import Message


class Attempt(models.Model):
    """An attempt that failed. Attempts that succeeded leave their times on the message itself."""

    class Stage(models.TextChoices):
        SEND = "send", "Sending"
        CONSUME = "consume", "Consuming"
        LOST = "lost", "Lease lost"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="failed_attempts")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=10, choices=Stage)
    error = models.TextField()
    worker = models.CharField(max_length=200, blank=True)
    failed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "failed attempt"
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.message_id}"
