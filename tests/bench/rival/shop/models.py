"""The same business row as the benchmarks' own application has."""

from __future__ import annotations

from django.db import models


class Booking(models.Model):
    """What a transaction writes besides its message."""

    customer = models.CharField(max_length=100)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.customer}: {self.amount}"
