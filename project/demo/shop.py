"""The shop's HTTP API, as a customer's program uses it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import httpx

from project.demo.errors import DemoError

TIMEOUT = 10.0  # seconds for one answer
TRIES = 5  # for a shop that is out of reach or overloaded
FIRST_PAUSE = 0.25  # seconds before the second try; doubles
BUSY = {409, 429, 500, 502, 503, 504}  # 409: the same request is being answered right now
CARD = "tok_visa"
DELIVERY = {
    "recipient": "Ada Example",
    "address": "Unter den Linden 1",
    "postcode": "10117",
    "city": "Berlin",
    "country": "DE",
}


class Shop:
    """A connection to the shop at `url` with an API key, for several threads. Use it as a context manager.

    `stopping`: when set, no pause before another try is sat out. Every method raises DemoError when the shop
    refuses, or is out of reach after several tries.
    """

    def __init__(self, url: str, api_key: str, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT,
            trust_env=False,  # a neighbour: never through a proxy
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def skus(self) -> list[str]:
        """Return what can be ordered right now, in a fixed order."""
        products = self._ask("GET", "api/products").json()
        found = sorted(product["sku"] for product in products if product["available"] > 0)
        if not found:
            raise DemoError("The shop has nothing to sell. Fill it with: manage.py seed --stock 1000")
        return found

    def order(self, basket: Mapping[str, int]) -> UUID:
        """Place an order of these quantities by SKU and return its id.

        Tried again with the same Idempotency-Key, so that an answer that was lost gives no second order.
        """
        body = {
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in basket.items()],
            "delivery": DELIVERY,
            "card": CARD,
        }
        return UUID(
            self._ask("POST", "api/orders", json=body, headers={"Idempotency-Key": str(uuid4())}).json()["id"]
        )

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        for pause in (FIRST_PAUSE * 2**n for n in range(TRIES - 1)):
            try:
                response = self._http.request(method, path, **content)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code not in BUSY:
                return _accepted(response)
            if self._stopping.wait(pause):
                break
        try:
            return _accepted(self._http.request(method, path, **content))
        except httpx.TransportError as error:
            told = str(error) or type(error).__name__
            raise DemoError(f"The shop at {self._http.base_url} gives no answer: {told}") from error


def _accepted(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    request = response.request
    raise DemoError(
        f"The shop refused {request.method} {request.url}: {response.status_code} {_detail(response)}"
    )


def _detail(response: httpx.Response) -> str:
    """What a problem document says, or the beginning of whatever came instead."""
    try:
        problem = response.json()
        return str(problem.get("detail") or problem.get("title") or problem)
    except (ValueError, AttributeError):
        return response.text[:200]
