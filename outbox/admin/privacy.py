"""What a user may see of personal data: one function for each kind of page. The rules are :mod:`outbox.redaction`'s."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from outbox.models import Message
from outbox.redaction import Mask, mask_of

PERMISSION = "outbox.view_personal"
CONTENTS = ("payload", "headers")


def may_see(request: HttpRequest) -> bool:
    """Whether personal data need not be hidden from this user."""
    return bool(request.user.has_perm(PERMISSION))


def for_reader(request: HttpRequest, value: Any, *, type_: str = "") -> Any:
    """A JSON value or a text as this user may see it, such as a saga's context or a step's error.

    Args:
        request: whose user reads.
        value: a copy is changed, never the value itself.
        type_: of the message or task that it belongs to, whose declaration may say more than the settings do.
    """
    if may_see(request):
        return value
    mask = mask_of(type_, value)
    return mask.text(value) if isinstance(value, str) else mask.value(value)


def hide_in(request: HttpRequest, message: Message) -> None:
    """Hide the personal data of a message that was read for a page. The object must not be saved afterwards.

    Columns that were not read are left alone. Its ``mask`` hides the same in what else the page shows of it.
    """
    if may_see(request):
        return
    there = [name for name in CONTENTS if name not in message.get_deferred_fields()]
    mask = mask_of(message.type, message.payload if "payload" in there else None, consumer=message.consumer)
    message.last_error = mask.text(message.last_error)
    if "payload" in there:
        message.payload = mask.payload(message.payload)
    if "headers" in there:
        message.headers = mask.value(message.headers)
    message.mask = mask  # type: ignore[attr-defined]


def hidden_text(message: Message, text: str) -> str:
    """A text that belongs to a message, hidden as the message itself was."""
    mask: Mask | None = getattr(message, "mask", None)
    return mask.text(text) if mask else text
