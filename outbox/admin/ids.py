"""Ids, as people and headers write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from outbox.models import Message


def uuid_of(text: str) -> UUID | None:
    """The UUID that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def cause_of(message: Message) -> UUID | None:
    """The message that caused it, as its headers say. They are anybody's JSON: nonsense is no cause."""
    headers: Any = message.headers
    return uuid_of(str(headers.get("causation_id", ""))) if isinstance(headers, dict) else None


def first_id_of(at: datetime) -> UUID:
    """The least id that a message written at a time can have: a version 7 UUID begins with its milliseconds.

    Not guaranteed: that every message has such an id. The parts of a Celery canvas keep the random ones that Celery
    gave them, and those are greater but for one in a hundred; and the clock is that of the process that wrote.
    """
    return UUID(int=int(at.timestamp() * 1000) << 80)
