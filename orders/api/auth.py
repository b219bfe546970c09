"""Who asks: a program with an API key, or a person who is signed in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja.errors import AuthenticationError, HttpError
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from orders.services import api_keys


class ApiKeyAuth(HttpBearer):
    """``Authorization: Bearer tdk_…``. Who sends that header is judged by it alone, session or not."""

    def __call__(self, request: HttpRequest) -> Any:
        """The key's customer; ``None`` when there is no such header.

        Raises:
            AuthenticationError: the header holds no valid key.
        """
        if "Authorization" not in request.headers:
            return None
        customer = super().__call__(request)
        if customer is None:
            raise AuthenticationError
        return customer

    def authenticate(self, request: HttpRequest, token: str) -> Any:  # noqa: ARG002  (ninja's signature)
        """The customer of the key."""
        return api_keys.customer_of(token)


class SessionAuth(APIKeyCookie):
    """The site's session. A request that changes something needs the CSRF token, like a form."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Any:
        """Who is signed in; ``None`` when nobody is.

        Raises:
            HttpError: 403, the CSRF token is missing or wrong.
        """
        if not request.user.is_authenticated:
            return None
        if check_csrf(request) is not None:
            raise HttpError(403, "CSRF")
        return request.user

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:  # noqa: ARG002  (ninja's)
        """Not used: the session was looked up before."""
        return request.user
