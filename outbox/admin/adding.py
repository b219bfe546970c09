"""A message added by hand: checked like one from code, and delivered like any other."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from pydantic import ValidationError

from outbox import known
from outbox.events import event_type
from outbox.exceptions import OutboxError
from outbox.publish import build, insert


class Unusable(OutboxError):
    """What was typed cannot be a message; says what to change."""


def add_message(
    type_: str,
    payload: Mapping[str, Any],
    *,
    id_: UUID,
    correlation_id: str = "",
    due_at: datetime | None = None,
) -> UUID:
    """Insert a message in the caller's transaction; the relay is woken after the commit.

    Args:
        type_: an event (every subscriber gets it) or a task.
        payload: the event's fields or the task's keyword arguments.
        id_: of the message, and of its task.
        correlation_id: what it belongs to.
        due_at: when it is to be sent; by default now.

    Raises:
        UnknownType: nobody handles the type.
    """
    known.require_type(type_)
    kind = event_type(type_)
    message = build(
        type_,
        payload,
        consumer="" if kind else type_,
        id=id_,
        correlation_id=correlation_id,
        version=kind.version if kind else None,
    )
    if due_at is not None:
        message.next_attempt_at = due_at
    return insert([message])[0]


def parse_payload(text: str) -> dict[str, Any]:
    """A JSON object, as it was typed.

    Raises:
        Unusable: it is not JSON, not an object, or holds what the database cannot keep.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
        stored = json.dumps(value, allow_nan=False, ensure_ascii=False)
        stored.encode()
    except json.JSONDecodeError as error:
        found = {"error": error.msg, "line": error.lineno, "column": error.colno}
        raise Unusable(_("This is not JSON: %(error)s (line %(line)s, column %(column)s).") % found) from None
    except UnicodeEncodeError:
        raise Unusable(
            _("It has half a surrogate pair (such as \\ud800): the database cannot keep that.")
        ) from None
    except RecursionError:
        raise Unusable(_("It is nested too deeply.")) from None
    except ValueError as error:
        raise Unusable(_("The database cannot keep this: %(error)s.") % {"error": error}) from None
    if "\\u0000" in stored:
        raise Unusable(_("It has a NUL character (\\u0000): the database cannot keep that."))
    if not isinstance(value, dict):
        raise Unusable(
            _('The payload must be a JSON object, such as {"order_id": "…"}: its members are the arguments.')
        )
    return value


def check_payload(type_: str, payload: Mapping[str, Any]) -> None:
    """Check that the consumer can take the payload.

    Raises:
        Unusable: a member is missing, unexpected or of the wrong form; says which.
    """
    if kind := event_type(type_):
        try:
            kind.schema.validate_python(payload)
        except ValidationError as error:
            raise Unusable(" ".join(_sentence(problem) for problem in error.errors())) from None
        return
    try:
        inspect.signature(known.tasks()[type_].run).bind(**payload)
    except TypeError as error:
        said = _("The task %(task)s does not take this payload: %(error)s.")
        raise Unusable(said % {"task": type_, "error": error}) from None


def _sentence(problem: Mapping[str, Any]) -> str:
    """What pydantic found, as a sentence."""
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}." if where else f"{problem['msg']}."


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(_("the name '%(name)s' occurs twice") % {"name": name})
        members[name] = value
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(_("%(name)s is not JSON") % {"name": name})
