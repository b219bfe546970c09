"""A page for when the database is away. It asks the database nothing itself."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from orders.web.errors import plain_page
from outbox.api import DATABASE_AWAY

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10


class DatabaseAwayMiddleware:
    """Answers 503 with a page that helps when a view cannot reach the database.

    The API answers for itself, with a problem. Not covered: what other middleware asks of the database after the view.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Any other error is for Django."""
        if not isinstance(error, DATABASE_AWAY):
            return None
        logger.error("%s %s: the database is away (%s)", request.method, request.path, error)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return HttpResponse(plain_page("503.html", request), status=503, headers=headers)
