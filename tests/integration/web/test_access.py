"""Who sees what; and what all pages have in common."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.test import Client, RequestFactory

from orders.models import Order, Product
from orders.web.errors import server_error
from tests.harness import fulfilling, shop
from tests.integration.web.conftest import Browser, browser_of, text_of

SUFFIXES = ["", "progress", "cancel"]


@pytest.mark.parametrize(
    "path", ["/checkout/", "/orders/", *(f"/orders/{UUID(int=7)}/{suffix}" for suffix in SUFFIXES)]
)
def test_anybody_else_is_sent_to_sign_in(db: None, path: str) -> None:
    """And back to where they wanted to go."""
    response = Client().get(path)

    assert response.status_code == 302
    assert response.headers["Location"] == f"/accounts/login/?next={path}"


def test_a_form_of_somebody_who_is_not_signed_in_orders_nothing(browser: Browser) -> None:
    """The session may have ended while it was filled in."""
    response = Client().post("/checkout/", browser.form())

    assert response.headers["Location"].startswith("/accounts/login/")
    assert not Order.objects.exists()


def test_a_page_whose_session_ended_is_loaded_anew(db: None) -> None:
    """The sign-in page must not appear in the middle of the order's page."""
    response = Client().get(f"/orders/{uuid4()}/progress", headers={"HX-Request": "true"})

    assert response.headers["HX-Refresh"] == "true"
    assert response.content == b""


def test_another_customers_order_is_not_there(browser: Browser) -> None:
    """404 for the page, its news and its cancellation, the same as for one that does not exist."""
    order = shop.order()
    bob = browser_of("bob")

    for order_id in (order.id, uuid4()):
        assert bob.get(f"/orders/{order_id}/").status_code == 404
        assert bob.get(f"/orders/{order_id}/progress").status_code == 404
        assert bob.client.post(f"/orders/{order_id}/cancel").status_code == 404
    assert not fulfilling.saga_of(order).cancel_requested


def test_an_operator_does_not_see_customers_orders_here_either(browser: Browser) -> None:
    """The shop is for customers; operators have the admin."""
    order = shop.order()
    operator = browser_of("operator")
    get_user_model().objects.filter(username="operator").update(is_staff=True, is_superuser=True)

    assert operator.get(f"/orders/{order.id}/").status_code == 404
    assert "Admin" in text_of(operator.get("/"))
    assert "Admin" not in text_of(browser.get("/"))


def test_an_address_that_does_not_exist_helps(browser: Browser) -> None:
    """404 with a way to the shop."""
    response = browser.get("/nowhere")

    assert response.status_code == 404
    assert "There is nothing here" in text_of(response)
    assert "Go to the shop" in text_of(response)


@pytest.mark.parametrize("path", ["/checkout/", "/basket/", f"/orders/{UUID(int=7)}/cancel"])
def test_an_address_that_is_no_page_helps(browser: Browser, path: str) -> None:
    """405 with words and a way on, and the methods that it takes; the API answers for itself."""
    response = browser.client.delete(path)

    assert response.status_code == 405
    assert response.headers["Allow"]
    assert "This address is not a page" in text_of(response)
    assert "Go to the shop" in text_of(response)
    assert browser.client.put("/api/orders").headers["Content-Type"] == "application/problem+json"


def test_the_language_switch_leads_to_a_page(browser: Browser, tea: Product) -> None:
    """Not back to an address that takes forms only, nor to one that does not exist."""

    def leads_to(response: Any) -> str:
        found = re.search(
            r'name="next" value="([^"]*)">\s*<button class="link" name="language"', response.text
        )
        assert found is not None
        return found[1]

    assert leads_to(browser.get("/?q=tea")) == "/?q=tea"
    assert leads_to(browser.get("/nowhere")) == "/"
    assert leads_to(browser.get(f"/basket/{tea.pk}/change")) == "/"
    browser.choose()
    wrong = browser.client.post(f"/basket/{tea.pk}/change", {"quantity": "-1"})
    assert (wrong.status_code, leads_to(wrong)) == (422, "/basket/")


def test_a_stranger_is_asked_to_sign_in(browser: Browser) -> None:
    """By a page, and back afterwards; a program gets JSON. Who is signed in reads that the account may not."""
    html = {"Accept": "text/html,*/*;q=0.8"}
    page = Client().get("/healthz/details", headers=html)
    assert page.status_code == 403
    assert "Sign in with an account that has the permission" in text_of(page)
    assert 'href="/accounts/login/?next=/healthz/details"' in page.text
    assert "Your account does not have the permission" in text_of(browser.get("/healthz/details", **html))
    for client, said in ((Client(), "Sign in"), (browser.client, "Your account may not")):
        answer = client.get("/healthz/details", headers={"Accept": "*/*"})
        assert answer.status_code == 403
        assert said in answer.json()["detail"]


def test_the_page_for_a_database_that_is_away_needs_none(
    browser: Browser, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, when to come again, and words that calm; who is signed in is not asked, because only it knows."""

    def away(*_: object, **__: object) -> None:
        raise OperationalError("connection refused: 10.0.0.7")

    monkeypatch.setattr("orders.queries.products_for_sale", away)
    with django_assert_num_queries(0):
        response = browser.get("/")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "10"
    assert "Orders that we have confirmed are safe" in text_of(response)
    assert "10.0.0.7" not in response.text


def test_the_page_for_a_crash_needs_nothing() -> None:
    """No database, no session: it must work when all else fails. It leads back to where one was."""
    for path, way in (("/basket/", "Go to the shop"), ("/admin/saga/saga/", "Back to the console")):
        response = server_error(RequestFactory().get(path))

        assert response.status_code == 500
        assert "Something went wrong on our side" in text_of(response)
        assert way in text_of(response)


def pages(browser: Browser) -> list[str]:
    """One of each kind of page."""
    order = shop.order()
    browser.choose()
    paths = ["/", "/?q=nothing", "/basket/", "/checkout/", "/orders/", f"/orders/{order.id}/", "/nowhere"]
    wrong = browser.send(browser.form(recipient="")).text
    strangers = [Client().get(f"/accounts/{path}/").text for path in ("login", "sign-up")]
    return [browser.get(path).text for path in paths] + [wrong, *strangers]


def test_no_page_needs_inline_script_or_style(browser: Browser) -> None:
    """The Content-Security-Policy forbids both; and nothing comes from another site."""
    for html in pages(browser):
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
        assert not re.search(r'(src|href|action)="(https?:)?//', html)


def test_every_field_has_a_label(browser: Browser) -> None:
    """For those who do not see where it stands."""
    for html in pages(browser):
        labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', html))
        for tag in re.findall(r"<(?:input|select)[^>]*>", html):
            if re.search('type="(hidden|radio|checkbox)"', tag):  # a radio button stands inside its label
                continue
            name = re.search(r' id="([^"]+)"', tag)
            assert name is not None, tag
            assert name[1] in labelled, tag


def test_pages_carry_the_policy(browser: Browser) -> None:
    """On every answer, errors too."""
    for path in ("/", "/nowhere", "/accounts/login/"):
        policy = browser.get(path).headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
