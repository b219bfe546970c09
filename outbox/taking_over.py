"""A task that replaced itself by a chain or a chord left its id to the last task of it: that one takes over its row."""

from __future__ import annotations

import json
from datetime import timedelta

from django.db.models import F, Value
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models import Message, Status
from outbox.relay.wakeup import wake_on_commit
from outbox.rows import NewMessage


def take_over(row: NewMessage) -> bool:
    """Make the consumed row of this id the new message; ``False`` when there is none.

    Attempts go on counting, so that deliveries of the replaced task stay refused.
    """
    due = Value(row.next_attempt_at) if row.next_attempt_at else Now() + timedelta(seconds=row.delay)
    changed = (
        Message.objects.using(conf().DATABASE)
        .filter(id=row.id, consumed_at__isnull=False)
        .update(
            type=row.type,
            consumer=row.consumer,
            payload=json.loads(row.payload),
            headers=json.loads(row.headers),
            queue=row.queue,
            priority=row.priority,
            status=Status.PENDING,
            next_attempt_at=due,
            redriven_after=F("attempts"),
            resends=0,
            started_at=None,
            consumed_at=None,
        )
    )
    if changed:
        wake_on_commit()
    return bool(changed)
