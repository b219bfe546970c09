"""What the portable writes share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Expression, F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from outbox.conf import conf
from outbox.database import connection
from outbox.models import Message, Status

FREE: dict[str, Any] = {"lock_id": None, "locked_until": None}
REFUND = Greatest(F("attempts"), 1) - 1
DUE_AGAIN: dict[str, Any] = {"waits_for": None, "next_attempt_at": Greatest(F("next_attempt_at"), Now())}
OVER = (
    Q(consumed_at__isnull=False) | Q(discarded_at__isnull=False) | Q(status=Status.FAILED, blocks_key=False)
)
"""A message that holds back nobody any more."""
ON_ITS_WAY = Q(status__in=[Status.PROCESSING, Status.SENT], consumed_at=None)


def rows() -> QuerySet[Message]:
    """All messages."""
    return Message.objects.using(conf().DATABASE)


def locked(found: QuerySet[Message]) -> QuerySet[Message]:
    """Those of them that nobody else holds, locked for this transaction. Never waits where the database can skip."""
    return found.select_for_update(skip_locked=connection().features.has_select_for_update_skip_locked)


def later(seconds: float) -> Expression | datetime:
    """So many seconds from now, by the database's clock."""
    due: Expression = Now() + timedelta(seconds=seconds)
    return due
