"""The API's addresses, its description, and its docs page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, re_path
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI, Swagger
from ninja.openapi.schema import OpenAPISchema

from orders.api import operating, problems
from orders.api.auth import ApiKeyAuth, SessionAuth
from orders.api.operations import router


class DocsPage(Swagger):
    """The description to read and to try out, in the shop's frame. All of it is served from here."""

    template = "orders/api_docs.html"


class ShopApi(NinjaAPI):
    """An API all of whose errors are problems, also where no operation is found."""

    @property
    def urls(self) -> tuple[list[URLPattern | URLResolver], str, str]:
        """The addresses; all others below them are answered with a 404 problem."""
        patterns, app, namespace = super().urls
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = never_cache(problems.speaks_problems(pattern.callback))
        return [*patterns, re_path("", _unknown)], app, namespace

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The description, with the media type that errors really have."""
        schema = super().get_openapi_schema(**options)
        for path in schema["paths"].values():
            for operation in path.values():
                for status, described in operation["responses"].items():
                    content = described.get("content", {})
                    if int(status) >= 400 and "application/json" in content:
                        content[problems.MEDIA_TYPE] = content.pop("application/json")
        return schema


@csrf_exempt  # nothing is done here, and the answer should be the same for all
def _unknown(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  (a view's signature)
    return problems.not_found()


api = ShopApi(
    title="Todoke",
    version="1.0",
    description="Order, and follow your orders. Every error is `application/problem+json` (RFC 9457).",
    urls_namespace="api",
    auth=[ApiKeyAuth(), SessionAuth()],
    docs=DocsPage({"validatorUrl": None}),
)
api.add_router("", router)
api.add_router("", operating.router)
problems.install(api)
