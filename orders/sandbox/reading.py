"""Reading requests: the idempotency key, the JSON body, its fields, paging parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from orders.sandbox.problems import InvalidFieldsError, ProblemError

MAX_KEY_LENGTH = 255  # characters
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_LENGTH}}}")

FieldReader = Callable[[Any], Any]
"""Turns a field's JSON value into ours; raises FieldError."""


class FieldError(ValueError):
    """What is wrong with a field's value, in words for the client."""


def idempotency_key(request: Request) -> str:
    """The ``Idempotency-Key`` header, quoted (IETF draft) or bare.

    Raises ProblemError 400 when it is missing or malformed.
    """
    value = request.headers.get("idempotency-key", "").strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not value:
        raise ProblemError(
            400, "idempotency_key_missing", "Send an Idempotency-Key header: a value of your own per effect."
        )
    if not _KEY.fullmatch(value):
        detail = f"An Idempotency-Key is 1 to {MAX_KEY_LENGTH} visible ASCII characters, without spaces."
        raise ProblemError(400, "idempotency_key_invalid", detail)
    return value


def key_field(value: Any) -> str:
    """Reads a field that names another request's idempotency key."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise FieldError("must be the Idempotency-Key of the request that is meant")
    return value


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises ProblemError 400 when it is anything else."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
        raise ProblemError(400, "invalid_json", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ProblemError(400, "invalid_json", "The body must be a JSON object.")
    return body


def read_fields(
    body: Mapping[str, Any], readers: Mapping[str, FieldReader], *, required: bool = True
) -> dict[str, Any]:
    """Read the named fields of ``body``, every wrong one reported at once.

    Raises InvalidFieldsError for unknown names (told with the valid ones), bad values and, if ``required``,
    missing fields.
    """
    valid = ", ".join(readers)
    errors = {name: f"unknown field; the fields are {valid}" for name in body if name not in readers}
    values: dict[str, Any] = {}
    for name, reader in readers.items():
        if name not in body:
            if required:
                errors[name] = "missing"
            continue
        try:
            values[name] = reader(body[name])
        except FieldError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidFieldsError(errors)
    return values


def text(maximum: int) -> FieldReader:
    """A reader of non-empty text of at most ``maximum`` characters; surrounding blanks are dropped."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise FieldError("must be a non-empty string")
        if len(value) > maximum:
            raise FieldError(f"must be at most {maximum} characters long")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise FieldError("must be valid Unicode text (it holds a lone surrogate)") from error
        return value.strip()

    return read


def paging(request: Request) -> tuple[int, int, str | None]:
    """The query: ``after`` (cursor), ``limit`` (1 to 1000, default 100), ``reference`` (or None)."""
    query = request.query_params
    readers: dict[str, FieldReader] = {
        "after": _number(0, 2**63 - 1),
        "limit": _number(1, 1000),
        "reference": text(255),
    }
    values = read_fields(query, readers, required=False)
    return values.get("after", 0), values.get("limit", 100), values.get("reference")


def _number(low: int, high: int) -> FieldReader:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 20 and low <= int(value) <= high):
            raise FieldError(f"must be a whole number from {low} to {high}")
        return int(value)

    return read
