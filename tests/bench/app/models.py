"""A business row, as small as they get."""

from __future__ import annotations

from django.db import models


class Booking(models.Model):
    """What a transaction writes besides its message. The rival's project has the same."""

    customer = models.CharField(max_length=100)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"

    def __str__(self) -> str:
        return f"{self.customer}: {self.amount}"
