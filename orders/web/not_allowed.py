"""A page for an address that takes requests of another kind, such as one that forms are sent to."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from orders.web.errors import plain_page
from outbox.api import DATABASE_AWAY


class NotAllowedMiddleware:
    """Gives a 405 without content the shop's page. Answers that say something themselves, the API's, stay."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        response = self.get_response(request)
        if response.status_code == 405 and not response.streaming and not response.content:
            response.content = _page(request)
        return response


def _page(request: HttpRequest) -> str:
    """Who is signed in, only the database knows; without it the page shows nobody."""
    try:
        return render_to_string("405.html", request=request)
    except DATABASE_AWAY:
        return plain_page("405.html", request)
