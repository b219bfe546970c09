"""Error pages that ask nothing, neither the database nor who is signed in: they must work when all else fails."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string


def plain_page(template: str, request: HttpRequest) -> str:
    """A page of which only the address is known that it is shown at: below the console's, it leads back there."""
    return render_to_string(template, {"path": request.path})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  (a handler's signature)
    """For ``handler400``."""
    return HttpResponse(plain_page("400.html", request), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """For ``handler500``."""
    return HttpResponse(plain_page("500.html", request), status=500)
