"""Ids, as people and headers write them."""

from __future__ import annotations

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
