"""``GET /healthz``: for load balancers and process managers. ``GET /healthz/details``: for people, and monitoring."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from django.core.exceptions import PermissionDenied
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from orders.web.lookout import reading
from outbox.health import findings

AWAY = {"status": "unavailable", "database": "away"}
ANSWER_SECONDS = 2.5
"""Those who ask give up after 5 s: until then they have heard that the database says nothing."""


@require_safe
async def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001  (a view)
    """200 while the database answers, else 503. The broker is not asked: orders are taken without it.

    It waits for none of the threads that other requests hold.
    """
    try:
        await asyncio.wait_for(reading(_ping), ANSWER_SECONDS)
    except (Error, TimeoutError):
        return JsonResponse(AWAY, status=503)
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def details(request: HttpRequest) -> HttpResponse:
    """What ails the outbox's tables, such as the session that holds back vacuum; 200 as long as work goes on.

    Findings name sessions, and what these run: 403 for anybody who may not see messages.
    """
    try:
        if not request.user.has_perm("outbox.view_message"):
            return _refused(request)
        found = [asdict(finding) for finding in findings()]
    except Error:
        return JsonResponse(AWAY, status=503)
    return JsonResponse({"status": "degraded" if found else "ok", "findings": found})


def _ping() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _refused(request: HttpRequest) -> HttpResponse:
    """A page for a browser, and for programs what they can read."""
    if "text/html" in request.headers.get("Accept", ""):
        raise PermissionDenied
    detail = "Sign in as somebody who may see messages."
    if request.user.is_authenticated:
        detail = "Your account may not see messages."
    return JsonResponse({"status": "refused", "detail": detail}, status=403)
