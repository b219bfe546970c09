"""Errors: always problem+json, always helpful, never telling of the inside."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from orders.models import Order
from tests.harness import shop
from tests.integration.api.conftest import Api, api_of, problem


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/", "/nowhere", "/orders/1", "/orders/x/cancellation", "/orders/"])
def test_an_address_that_does_not_exist(api: Api, settings: Settings, path: str, debug: bool) -> None:
    """404, with debugging on as well."""
    settings.DEBUG = debug

    assert problem(api.get(path), 404)["code"] == "not_found"


def test_a_method_that_an_address_does_not_know(api: Api) -> None:
    """405, saying which it knows."""
    response = api.client.delete("/api/orders")

    assert problem(response, 405)["code"] == "method_not_allowed"
    assert set(response.headers["Allow"].split(", ")) == {"GET", "POST"}


@pytest.mark.parametrize("body", ["{", "nonsense", b"\xff\xfe"])
def test_a_body_that_is_not_json(api: Api, settings: Settings, body: str | bytes) -> None:
    """400, also with debugging on, without the parser's own words."""
    settings.DEBUG = True
    headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "k-1"}
    response = api.client.generic(
        "POST", "/api/orders", body, content_type="application/json", headers=headers
    )

    assert problem(response, 400) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "malformed",
        "detail": "The body is not JSON.",
    }


@pytest.mark.parametrize("debug", [True, False])
def test_a_crash_tells_nothing_of_the_inside(
    api: Api, settings: Settings, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """500 for the client, the traceback for the log. The crash is a real one: a table is gone."""
    settings.DEBUG = debug
    order = shop.order()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE saga_sagastep RENAME TO gone")
    response = api.get(f"/orders/{order.id}")

    told = problem(response, 500)
    assert told["code"] == "internal_error"
    assert "relation" not in json.dumps(told)
    assert "relation" in caplog.text


def test_a_body_that_is_too_big(api: Api) -> None:
    """413: no order is that long."""
    assert problem(api.place({"lines": "x" * 3_000_000}), 413)["code"] == "too_big"


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_in_time(transactional_db: None) -> None:
    """503 with Retry-After: whoever asks again later may have more luck. Here a lock is held for too long."""
    api = api_of("ada")
    other = connection.copy()
    with connection.cursor() as cursor, other.cursor() as holder:
        holder.execute("BEGIN; LOCK TABLE orders_product")
        cursor.execute("SET lock_timeout = '50ms'")
        try:
            response = api.get("/products")
        finally:
            cursor.execute("RESET lock_timeout")
            holder.execute("ROLLBACK")
    other.close()

    assert problem(response, 503)["code"] == "unavailable"
    assert int(response.headers["Retry-After"]) > 0


def test_the_description_is_openapi_3_1_and_knows_problems() -> None:
    """With the media type that errors have, and the key that placing an order needs."""
    described = Client().get("/api/openapi.json").json()
    place = described["paths"]["/api/orders"]["post"]

    assert described["openapi"].startswith("3.1")
    assert list(place["responses"]["422"]["content"]) == ["application/problem+json"]
    assert "202" in place["responses"]
    header = next(p for p in place["parameters"] if p["name"] == "Idempotency-Key")
    assert header["required"] is True
    assert set(described["paths"]) == {
        "/api/products",
        "/api/orders",
        "/api/orders/{order_id}",
        "/api/orders/{order_id}/cancellation",
        "/api/sagas",
        "/api/sagas/{saga_id}",
        "/api/sagas/{saga_id}/{verb}",
    }


def test_the_docs_page_needs_nothing_from_elsewhere() -> None:
    """Its scripts and styles come from this site: it works offline and under the strict policy."""
    response = Client().get("/api/docs")

    assert response.status_code == 200
    assert "http://" not in response.text
    assert "https://" not in response.text
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


def test_nothing_of_an_order_is_kept_by_caches(api: Api) -> None:
    """Orders are private, and their progress is old in a second."""
    order = shop.order()

    assert "no-store" in api.get(f"/orders/{order.id}").headers["Cache-Control"]
    assert Order.objects.count() == 1
