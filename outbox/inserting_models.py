"""Rows written with Django's models, for databases other than PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models.functions import Least, Now

from outbox.conf import conf
from outbox.database import atomic
from outbox.models import Message
from outbox.rows import COLUMNS, REPLACED, NewMessage, latest


def write(rows: Sequence[NewMessage]) -> None:
    """Write rows in one INSERT."""
    Message.objects.using(conf().DATABASE).bulk_create([_model(row) for row in rows])


def replace(rows: Sequence[NewMessage]) -> dict[tuple[str, str | None], UUID]:
    """Change the message of the same name that waits, else write one. Returns the ids by name.

    Not guaranteed: that only one is written where the database has no partial unique indexes (MySQL) and two do
    this at the same time.
    """
    with atomic():
        return {row.name: _replace(row) for row in latest(rows)}


def _replace(row: NewMessage) -> UUID:
    rows, new = Message.objects.using(conf().DATABASE), _model(row)
    waiting = rows.select_for_update().filter(consumer=row.consumer, schedule_key=row.schedule_key).first()
    if waiting is None:
        new.save(using=conf().DATABASE, force_insert=True)
        return row.id
    values: dict[str, Any] = {name: getattr(new, name) for name in REPLACED}
    if row.coalesce:
        values["next_attempt_at"] = Least("next_attempt_at", _due(row))
    rows.filter(pk=waiting.pk).update(waits_for=None, **values)
    return waiting.pk


def _model(row: NewMessage) -> Message:
    values = dict(zip(COLUMNS, row.values(), strict=False))
    values |= {"payload": json.loads(row.payload), "headers": json.loads(row.headers)}
    return Message(**values, next_attempt_at=_due(row))


def _due(row: NewMessage) -> Any:
    if row.next_attempt_at is not None:
        return row.next_attempt_at
    return Now() + timedelta(seconds=row.delay) if row.delay > 0 else Now()
