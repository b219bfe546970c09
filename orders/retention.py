"""What of the shop leaves by age, together with the outbox's finished messages."""

from __future__ import annotations

from orders.models import IdempotencyRecord
from outbox.api import Prunable, prune_also

prune_also(Prunable("answers to API requests", IdempotencyRecord.objects.all, "created_at"))
