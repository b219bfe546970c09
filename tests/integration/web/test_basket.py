"""The basket: before signing in, after it, and from several tabs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from orders.models import BasketItem, Product, Stock
from orders.services.basket import CustomerBasket
from orders.services.placing import MOST_OF_ONE
from tests.harness import shop
from tests.integration.web.conftest import Browser, text_of

PASSWORD = "correct horse battery"
BY_HTMX = {"HX-Request": "true"}


@pytest.fixture
def passer_by(tea: Product) -> Browser:
    """Somebody who is not signed in. The account is theirs, for later."""
    user = User.objects.create_user("ada", "ada@example.org", PASSWORD)
    return Browser(user, Client())


@pytest.fixture(params=["browser", "passer_by"])
def anybody(request: pytest.FixtureRequest) -> Browser:
    """Signed in or not: the basket is the same."""
    chosen: Browser = request.getfixturevalue(request.param)
    return chosen


def basket(visitor: Browser) -> str:
    """What the basket's page says."""
    return text_of(visitor.get("/basket/"))


def change(visitor: Browser, product: Product, quantity: str, **headers: str) -> object:
    """Type another quantity."""
    path = f"/basket/{product.pk}/change"
    return visitor.client.post(path, {"quantity": quantity}, headers=headers)


def test_an_empty_basket_helps(anybody: Browser) -> None:
    """It leads to the shop."""
    assert "Your basket is empty." in basket(anybody)
    assert "Go to the shop" in basket(anybody)


def test_what_is_chosen_is_in_it(anybody: Browser, tea: Product) -> None:
    """Chosen twice, it adds up; with sums, and said on the page where it was chosen."""
    assert anybody.choose(2).headers["Location"] == "/"
    assert "Tea is in your basket." in text_of(anybody.get("/"))
    anybody.choose(1)

    assert "13.50 EUR" in basket(anybody)
    assert 'value="3"' in anybody.get("/basket/").text
    assert "3 in your basket" in text_of(anybody.get("/"))


def test_htmx_is_told_what_has_changed(anybody: Browser, tea: Product) -> None:
    """The notice, the product's mark and the number in the bar: parts, not a page."""
    response = anybody.choose(2, **BY_HTMX)

    assert "<html" not in response.text
    assert "Tea is in your basket." in text_of(response)
    assert f'id="held-{tea.pk}" hx-swap-oob' in response.text
    assert "2 items" in text_of(response)


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        ("6", "There are only 5 of Tea left."),
        ("0", "Please enter 1 or more."),
        ("-1", "Please enter 0 or more."),
        ("1.5", "Please enter a whole number."),
        ("", "Please enter a whole number."),
        ("1000", "Please order at most 999 at once."),
    ],
)
def test_what_cannot_be_chosen(anybody: Browser, tea: Product, quantity: str, said: str) -> None:
    """Said on the page where it was tried; nothing goes into the basket."""
    Stock.objects.update(on_hand=5)
    anybody.client.post(f"/basket/{tea.pk}/add", {"quantity": quantity})

    assert said in text_of(anybody.get("/"))
    assert "Your basket is empty." in basket(anybody)


def test_no_more_than_there_is(anybody: Browser, tea: Product) -> None:
    """What is in the basket already counts; what is sold out cannot be chosen."""
    Stock.objects.update(on_hand=3)
    anybody.choose(2)
    assert "There are only 3 of Tea left. 2 are in your basket already." in text_of(
        anybody.choose(2, **BY_HTMX)
    )
    Stock.objects.update(on_hand=0)

    assert "Tea is sold out." in text_of(anybody.choose(1, **BY_HTMX))


def test_what_is_not_for_sale_is_not_there(anybody: Browser, tea: Product) -> None:
    """404, for a product of the past and for one that never was."""
    Product.objects.update(is_active=False)

    assert anybody.choose().status_code == 404
    assert anybody.client.post(f"/basket/{uuid4()}/add", {"quantity": 1}).status_code == 404


def test_another_quantity(anybody: Browser, tea: Product) -> None:
    """Typed anew, or 0 to take it out; htmx gets the basket and the number in the bar."""
    anybody.choose(2)
    change(anybody, tea, "4")
    assert "18.00 EUR" in basket(anybody)

    response = anybody.client.post(f"/basket/{tea.pk}/change", {"quantity": 0}, headers=BY_HTMX)
    assert "Your basket is empty." in text_of(response)
    assert 'id="basket-link"' in response.text
    assert "<html" not in response.text


@pytest.mark.parametrize("typed", ["-1", "many", "", "1000"])
def test_a_quantity_that_cannot_be(anybody: Browser, tea: Product, typed: str) -> None:
    """Said next to the product, with what was typed; the basket stays as it was."""
    anybody.choose(2)
    response = anybody.client.post(f"/basket/{tea.pk}/change", {"quantity": typed})

    assert response.status_code == 422
    assert f'id="trouble-{tea.pk}"' in response.text
    assert f'value="{typed}"' in response.text
    assert "9.00 EUR" in basket(anybody)


def test_what_is_not_in_it_is_not_changed(anybody: Browser, tea: Product) -> None:
    """A form from a page that is long out of date puts nothing in."""
    change(anybody, tea, "4")

    assert "Your basket is empty." in basket(anybody)


@pytest.mark.parametrize(
    ("stock", "active", "said"),
    [
        (1, True, "There is only 1 left."),
        (0, True, "This is sold out. Please take it out."),
        (9, False, "This is not for sale any more. Please take it out."),
    ],
)
def test_what_went_meanwhile_is_told(
    anybody: Browser, tea: Product, stock: int, active: bool, said: str
) -> None:
    """Next to its line; there is no way to the checkout until it is mended."""
    anybody.choose(2)
    Stock.objects.update(on_hand=stock)
    Product.objects.update(is_active=active)

    assert said in basket(anybody)
    assert 'href="/checkout/"' not in anybody.get("/basket/").text


def test_a_product_that_was_deleted_is_gone(anybody: Browser, tea: Product) -> None:
    """No crash."""
    anybody.choose(2)
    Product.objects.all().delete()

    assert "Your basket is empty." in basket(anybody)


def test_a_basket_is_kept_at_sign_in(passer_by: Browser, tea: Product) -> None:
    """What the account's basket had stays; of a product in both, the larger quantity. Signing out leaves nothing."""
    shop.product("CUP")
    CustomerBasket(passer_by.customer).add(Product.objects.get(sku="CUP"), 1)
    CustomerBasket(passer_by.customer).add(tea, 3)
    passer_by.choose(2)
    assert passer_by.get("/checkout/").headers["Location"] == "/accounts/login/?next=/checkout/"
    form = {"username": "ada", "password": PASSWORD, "next": "/checkout/"}
    assert passer_by.client.post("/accounts/login/", form).headers["Location"] == "/checkout/"

    held = CustomerBasket(passer_by.customer).quantities()
    assert sorted(held.values()) == [1, 3]
    passer_by.client.post("/accounts/logout/")
    assert "Your basket is empty." in basket(passer_by)


def test_a_basket_belongs_to_its_customer(browser: Browser, tea: Product) -> None:
    """Nobody else sees or changes it."""
    browser.choose(2)
    bob = Client()
    bob.force_login(shop.customer("bob"))
    bob.post(f"/basket/{tea.pk}/change", {"quantity": 0})

    assert "Your basket is empty." in text_of(bob.get("/basket/"))
    assert BasketItem.objects.get().quantity == 2


def test_the_way_back_leads_nowhere_else(anybody: Browser, tea: Product) -> None:
    """Another site in ``next`` is ignored."""
    path = f"/basket/{tea.pk}/add"

    for elsewhere in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        response = anybody.client.post(path, {"quantity": 1, "next": elsewhere})
        assert response.headers["Location"] == "/"
    back = anybody.client.post(path, {"quantity": 1, "next": "/?q=tea"})
    assert back.headers["Location"] == "/?q=tea"


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_both_count(transactional_db: None) -> None:
    """Ten times one is ten; and never more than one order may hold."""
    tea, ada = shop.product("TEA"), shop.customer()

    def choose(_: int) -> None:
        try:
            CustomerBasket(ada).add(tea, 1)  # type: ignore[arg-type]  # the harness speaks of any user model
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(choose, range(10)))
    assert BasketItem.objects.get().quantity == 10

    CustomerBasket(ada).add(tea, MOST_OF_ONE)  # type: ignore[arg-type]
    assert BasketItem.objects.get().quantity == MOST_OF_ONE
