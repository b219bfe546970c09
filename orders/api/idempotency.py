"""The ``Idempotency-Key`` header, as draft 07 of the IETF's HTTP API group has it."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest

from orders.api.problems import ProblemError

HEADER = "Idempotency-Key"
LONGEST = 255
QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
BARE = re.compile(r"[A-Za-z0-9_.:~+/=*!$&^`|#%'-]+")

PARAMETER: dict[str, Any] = {
    "in": "header",
    "name": HEADER,
    "required": True,
    "description": "Chosen by you: new for each new order, the same for a repeated request. Quoted or bare.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST},
}


def idempotency_key(request: HttpRequest) -> str:
    """The request's key: a quoted string as structured headers have it, or the same bare.

    Raises:
        ProblemError: 400, it is missing or is no such string.
    """
    given = request.headers.get(HEADER, "").strip()
    if not given:
        raise ProblemError(
            400, "idempotency_key_missing", f'This request needs a header such as {HEADER}: "8e03978e".'
        )
    if quoted := QUOTED.fullmatch(given):
        key = re.sub(r'\\(["\\])', r"\1", quoted[1])
    else:
        key = given if BARE.fullmatch(given) else ""
    if not 1 <= len(key) <= LONGEST:
        raise ProblemError(
            400, "idempotency_key_invalid", f"The {HEADER} must be 1 to {LONGEST} ASCII characters in quotes."
        )
    return key
