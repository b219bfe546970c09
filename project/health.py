"""``GET /healthz``: for load balancers and process managers. ``GET /healthz/details``: for people, and monitoring."""

from __future__ import annotations

from dataclasses import asdict

from django.core.exceptions import PermissionDenied
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from outbox.health import findings

AWAY = {"status": "unavailable", "database": "away"}


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001  (a view)
    """200 while the database answers, else 503. The broker is not asked: orders are taken without it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse(AWAY, status=503)
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def details(request: HttpRequest) -> JsonResponse:
    """What ails the outbox's tables, such as the session that holds back vacuum; 200 as long as work goes on.

    Raises:
        PermissionDenied: the user may not see messages. Findings name sessions, and what these run.
    """
    try:
        if not request.user.has_perm("outbox.view_message"):
            raise PermissionDenied("Sign in as somebody who may see messages.")
        found = [asdict(finding) for finding in findings()]
    except Error:
        return JsonResponse(AWAY, status=503)
    return JsonResponse({"status": "degraded" if found else "ok", "findings": found})
