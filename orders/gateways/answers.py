"""What an outside service's answer means: done, refused, or not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from orders.gateways.errors import GatewayMisused, GatewayUnavailable

T = TypeVar("T")

_DID_NOT_ACT = frozenset({429, 503})  # busy, unavailable: said before acting
_REQUEST_TIMEOUT = 408  # the one 4xx that tells nothing about the outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said: an HTTP ``status`` below 500 and a JSON object."""

    status: int
    body: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the service did what it was asked."""
        return self.status in (200, 201)

    @property
    def code(self) -> str:
        """The service's own word for an error."""
        return str(self.body.get("code", "unknown"))

    def misuse(self) -> GatewayMisused:
        """This answer as an error of ours."""
        return GatewayMisused(self.status, self.code, str(self.body.get("detail", "no detail given")))


def read_answer(response: httpx.Response) -> Answer:
    """The answer in ``response``. Raises GatewayUnavailable when it does not settle what happened."""
    status = response.status_code
    if status in _DID_NOT_ACT:
        raise _unavailable(response, may_have_happened=False)
    if status >= 500 or status == _REQUEST_TIMEOUT:
        raise _unavailable(response, may_have_happened=True)
    body = _json_object(response)
    if body is None and response.is_success:
        raise GatewayUnavailable(f"HTTP {status} without a JSON object as its body", may_have_happened=True)
    return Answer(status, body or {})


def understood(read: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any]) -> T:
    """``read(body)`` for the body of a success. Raises GatewayUnavailable when it is not what was agreed on:
    the service acted, but did not say what it did. The same request again gets its answer again.
    """
    try:
        return read(body)
    except (KeyError, ValueError, TypeError, ArithmeticError) as error:
        message = f"an answer that makes no sense: {type(error).__name__} {error}"
        raise GatewayUnavailable(message, may_have_happened=True) from error


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _unavailable(response: httpx.Response, *, may_have_happened: bool) -> GatewayUnavailable:
    told = response.text[:200].strip()
    return GatewayUnavailable(f"HTTP {response.status_code}: {told}", may_have_happened=may_have_happened)
