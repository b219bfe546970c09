"""Every request is a piece of work with a trace of its own, or of its caller's."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from outbox.api import is_traceparent, working_on

CORRELATION_HEADER = "X-Correlation-ID"
CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,64}")
"""What is taken from a caller: it goes into rows and log lines, so nothing that could pass for more than an id."""


def traceparent_of(request: HttpRequest) -> str:
    """This request's place in its caller's W3C trace where that is well-formed, else in a new one."""
    given = request.headers.get("traceparent", "").strip()
    span = secrets.token_hex(8)
    if not is_traceparent(given):
        return f"00-{secrets.token_hex(16)}-{span}-01"
    _, trace, _, flags = given.split("-")
    return f"00-{trace}-{span}-{flags}"


def correlation_id_of(request: HttpRequest, traceparent: str) -> str:
    """The caller's correlation id where it is well-formed, else the id of the trace."""
    given = request.headers.get(CORRELATION_HEADER, "")
    return given if CORRELATION_ID.fullmatch(given) else traceparent.split("-")[1]


class RequestContextMiddleware:
    """What a request publishes carries its trace and its correlation id, and so do its log lines.

    The answer names the correlation id, so that a caller can ask what became of it all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle the request inside its context."""
        traceparent = traceparent_of(request)
        correlation_id = correlation_id_of(request, traceparent)
        with working_on(correlation_id=correlation_id, causation_id="", traceparent=traceparent):
            response = self.get_response(request)
        response.headers.setdefault(CORRELATION_HEADER, correlation_id)
        return response
