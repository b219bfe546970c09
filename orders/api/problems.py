"""Errors as ``application/problem+json`` (RFC 9457). They tell what to do, and nothing of the inside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from orders.api.pointers import pointer_to
from orders.exceptions import CannotCancel, InvalidOrder
from orders.queries import InvalidCursor
from orders.services.idempotency import KeyReused, StillRunning
from outbox.api import DATABASE_AWAY

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1


class ProblemError(Exception):
    """An answer that is an error.

    Args:
        status: HTTP status.
        code: for programs to tell it apart.
        detail: for people.
        headers: of the answer.
        members: further members of the answer's object.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members


def answer(problem: ProblemError) -> HttpResponse:
    """The HTTP answer that tells a problem."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.members,
    }
    return JsonResponse(body, status=problem.status, content_type=MEDIA_TYPE, headers=problem.headers)


def not_found() -> HttpResponse:
    """For addresses and things that do not exist, or are not the customer's: there is no telling which."""
    return answer(ProblemError(404, "not_found", "There is nothing at this address that is yours to see."))


def install(api: NinjaAPI) -> None:
    """Make every error of the API's operations a problem."""
    for kind, problem_of in _PROBLEMS.items():
        api.add_exception_handler(kind, _handler(problem_of))


def speaks_problems(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Also for what is refused before an operation is found."""

    @wraps(view)
    def speaking(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            return not_found()
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = response.headers["Allow"]
            detail = f"This address answers {allowed}, not {request.method}."
            return answer(ProblemError(405, "method_not_allowed", detail, headers={"Allow": allowed}))
        return response

    return speaking


def _handler(problem_of: Callable[[Any], ProblemError]) -> Callable[[HttpRequest, Any], HttpResponse]:
    def handle(request: HttpRequest, error: Any) -> HttpResponse:
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("%s %s failed", request.method, request.path, exc_info=error)
        return answer(problem)

    return handle


def _crashed(_: Exception) -> ProblemError:
    return ProblemError(500, "internal_error", "Something went wrong on our side. Try again.")


def _unavailable(_: Exception) -> ProblemError:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return ProblemError(503, "unavailable", "We cannot do this right now. Try again soon.", headers=headers)


def _too_big(_: RequestDataTooBig) -> ProblemError:
    return ProblemError(413, "too_big", "The body is too big for an order.")


def _missing(_: Http404) -> ProblemError:
    return ProblemError(404, "not_found", "There is nothing at this address that is yours to see.")


def _http(error: HttpError) -> ProblemError:
    status = HTTPStatus(error.status_code)
    code, detail, headers = _HTTP.get(status, (status.name.lower(), status.phrase, None))
    return ProblemError(status, code, detail, headers=headers)


def _invalid(error: ValidationError) -> ProblemError:
    errors = [_place(e["loc"]) | {"detail": e["msg"].removeprefix("Value error, ")} for e in error.errors]
    return _unprocessable(errors)


def _invalid_order(error: InvalidOrder) -> ProblemError:
    return _unprocessable(
        {"pointer": pointer_to(name), "detail": text} for name, text in error.errors.items()
    )


def _invalid_cursor(error: InvalidCursor) -> ProblemError:
    return _unprocessable([{"parameter": "cursor", "detail": error.public_reason}])


def _unprocessable(errors: Iterable[dict[str, str]]) -> ProblemError:
    return ProblemError(422, "invalid_request", "The request cannot be used as it is.", errors=list(errors))


def _place(loc: Sequence[str | int]) -> dict[str, str]:
    """Where in the request: ``loc`` is the source, for a body also the parameter's name, then the path."""
    if loc[0] == "body":
        return {"pointer": "#" + "".join(f"/{part}" for part in loc[2:])}
    return {"parameter": ".".join(str(part) for part in loc[1:])}


def _too_late(error: CannotCancel) -> ProblemError:
    return ProblemError(409, "too_late", error.public_reason)


def _key_reused(error: KeyReused) -> ProblemError:
    return ProblemError(422, "idempotency_key_reused", error.public_reason)


def _still_running(error: StillRunning) -> ProblemError:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return ProblemError(409, "still_running", error.public_reason, headers=headers)


_HTTP: dict[HTTPStatus, tuple[str, str, Mapping[str, str] | None]] = {
    HTTPStatus.BAD_REQUEST: ("malformed", "The body is not JSON.", None),
    HTTPStatus.UNAUTHORIZED: (
        "unauthorized",
        "Send a valid API key as `Authorization: Bearer <key>`, or sign in.",
        {"WWW-Authenticate": 'Bearer realm="Todoke"'},
    ),
    HTTPStatus.FORBIDDEN: (
        "csrf_failed",
        "A request with a session needs its CSRF token in the X-CSRFToken header.",
        None,
    ),
}

_PROBLEMS: dict[type[Exception], Callable[[Any], ProblemError]] = {
    Exception: _crashed,
    **dict.fromkeys(DATABASE_AWAY, _unavailable),
    RequestDataTooBig: _too_big,
    Http404: _missing,
    HttpError: _http,
    ValidationError: _invalid,
    InvalidOrder: _invalid_order,
    InvalidCursor: _invalid_cursor,
    CannotCancel: _too_late,
    KeyReused: _key_reused,
    StillRunning: _still_running,
    ProblemError: lambda problem: problem,
}
