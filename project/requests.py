"""Every request is a piece of work with a trace of its own, or of its caller's."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from outbox.api import working_on

TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


def traceparent_of(request: HttpRequest) -> str:
    """The caller's W3C trace context where it is well-formed, else a new one."""
    given = request.headers.get("traceparent", "")
    if TRACEPARENT.match(given):
        return given
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


class RequestContextMiddleware:
    """What a request publishes carries its trace, and so do its log lines."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle the request inside its context."""
        with working_on(traceparent=traceparent_of(request)):
            return self.get_response(request)
