"""Who may see the shop's pages: customers who are signed in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django_htmx.http import HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

P = ParamSpec("P")


class CustomerRequest(HttpRequest):
    """A request of somebody who is signed in. For type checkers: it is never made."""

    user: User
    htmx: HtmxDetails


def signed_in(
    view: Callable[Concatenate[CustomerRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Send anybody else to the sign-in page, and back here afterwards.

    A fragment that htmx asks for is not redirected, which would put the sign-in page in the middle of
    another: the whole page is loaded again instead.
    """

    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.user.is_authenticated:
            return view(cast(CustomerRequest, request), *args, **kwargs)
        if by_htmx(request):
            return HttpResponseClientRefresh()
        return redirect_to_login(request.get_full_path() if request.method == "GET" else request.path)

    return cast(Callable[Concatenate[HttpRequest, P], HttpResponse], checked)


def by_htmx(request: HttpRequest) -> bool:
    """Whether a part of a page is asked for, not a page."""
    return bool(cast(CustomerRequest, request).htmx)
