"""Errors as ``application/problem+json`` (RFC 9457), each with a ``code`` that a program can tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


class ProblemError(Exception):
    """An answer that is an error: HTTP ``status``, machine-readable ``code``, ``detail`` for a person.

    ``members`` are further members of the answer's JSON object.
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


class InvalidFieldsError(ProblemError):
    """400: the request's body is not what is asked for; ``errors`` maps each wrong field to what is wrong."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        told = "; ".join(f"{field}: {message}" for field, message in errors.items())
        super().__init__(400, "invalid_request", told, errors=dict(errors))


def problem_response(problem: ProblemError) -> JSONResponse:
    """The HTTP answer that tells ``problem``."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.members,
    }
    return JSONResponse(body, problem.status, problem.headers, media_type="application/problem+json")


async def on_problem(_request: Request, error: Exception) -> JSONResponse:
    """Answer a ProblemError that an endpoint raised."""
    return problem_response(cast(ProblemError, error))


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer what the router itself refuses: unknown path, wrong method."""
    refused = cast(HTTPException, error)
    # Not `not_found`: that code says that a charge or a shipment does not exist, which is an answer.
    code = "unknown_path" if refused.status_code == 404 else HTTPStatus(refused.status_code).name.lower()
    detail = f"{request.method} {request.url.path}: {refused.detail}"
    return problem_response(ProblemError(refused.status_code, code, detail, headers=refused.headers))


async def on_crash(_request: Request, _error: Exception) -> JSONResponse:
    """Answer an error of ours without telling its inside; the server logs it, traceback and all."""
    return problem_response(ProblemError(500, "internal_error", "The sandbox failed. Its log says why."))
