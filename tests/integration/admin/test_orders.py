"""The shop's pages: orders, products with stock, sales, API keys."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from orders.models import ApiKey, DailySales, Order, Product, Stock
from orders.services.api_keys import customer_of, issue
from outbox.models import Message
from outbox.saga.models import Saga
from tests.harness.shop import customer, order, product
from tests.integration.admin.making import said, shipped_order

ORDERS = "/admin/orders/order/"
PRODUCTS = "/admin/orders/product/"
KEYS = "/admin/orders/apikey/"
MOST_QUERIES = 20


class TestOrders:
    """Orders are for reading."""

    def test_the_page_shows_all_that_was_done(self, as_, reader):
        """Lines, steps, reservation, payment, shipment, messages; links to saga and messages."""
        made = shipped_order()
        page = as_(reader).get(f"{ORDERS}{made.pk}/change/").content.decode()
        saga = Saga.objects.get(key=str(made.pk))
        for text in (
            made.number,
            "Shipped",
            "4.50 EUR",
            "pay_1",
            "TRK-1",
            "Charged",
            "ada",
            "Unter den Linden",
        ):
            assert text in page
        assert f"/admin/saga/saga/{saga.pk}/change/" in page
        assert f"/admin/outbox/message/?q={made.pk}" in page
        for message in Message.objects.filter(correlation_id=str(made.pk)):
            assert f"/admin/outbox/message/{message.pk}/change/" in page

    def test_never_shows_the_card(self, as_, superuser):
        """The token of the customer's card is nobody's business here."""
        made = shipped_order()
        for page in (f"{ORDERS}{made.pk}/change/", ORDERS):
            assert made.card not in as_(superuser).get(page).content.decode()

    def test_renders_every_status(self, as_, reader):
        """List and page, whatever the status."""
        product()
        for status in Order.Status:
            made = order()
            ended = made.placed_at if status in Order.ENDED else None
            Order.objects.filter(pk=made.pk).update(status=status, ended_at=ended, reason="Why.")
            assert as_(reader).get(f"{ORDERS}{made.pk}/change/").status_code == 200
        page = as_(reader).get(ORDERS).content.decode()
        assert all(str(status.label) in page for status in Order.Status)

    def test_searches(self, as_, reader):
        """By id, number, customer, reason."""
        product()
        made, other = order(), order()
        Order.objects.filter(pk=made.pk).update(reason="Declined by the bank")
        for term in (str(made.pk), made.number, made.number.lower().replace("-", ""), "bank"):
            assert list(as_(reader).get(ORDERS, {"q": term}).context["cl"].result_list) == [made], term
        assert set(as_(reader).get(ORDERS, {"q": "ada"}).context["cl"].result_list) == {made, other}

    def test_never_changed_here(self, as_, superuser):
        """What is to change goes through the saga."""
        made = shipped_order()
        url = f"{ORDERS}{made.pk}/"
        assert as_(superuser).post(f"{url}change/", {"status": "placed"}).status_code == 403
        assert as_(superuser).post(f"{url}delete/", {"post": "yes"}).status_code == 403
        assert as_(superuser).get(f"{ORDERS}add/").status_code == 403

    @pytest.mark.parametrize("count", [1, 20])
    def test_number_of_queries_does_not_grow(self, as_, reader, count, django_assert_max_num_queries):
        """Neither with the orders of the list nor with what belongs to one."""
        made = shipped_order()
        for _ in range(count):
            order()
            Message.objects.create(type="orders.order_paid", correlation_id=str(made.pk))
        browser = as_(reader)
        for page in (ORDERS, f"{ORDERS}{made.pk}/change/"):
            with django_assert_max_num_queries(MOST_QUERIES):
                browser.get(page)


class TestStock:
    """What is on hand can be counted anew; what is reserved belongs to the orders."""

    @pytest.fixture
    def tea(self, db: None) -> Product:
        """Ten on hand, four of them promised."""
        made = product(on_hand=10)
        Stock.objects.filter(pk=made.pk).update(reserved=4)
        return made

    @staticmethod
    def form(made: Product, counted: object, *, seen: object = 10) -> dict[str, Any]:
        """The product's form, saved with another count."""
        return {
            "name": made.name,
            "sku": made.sku,
            "description": "",
            "price": "4.50",
            "currency": "EUR",
            "is_active": "on",
            "stock-TOTAL_FORMS": 1,
            "stock-INITIAL_FORMS": 1,
            "stock-0-product": made.pk,
            "stock-0-on_hand": counted,
            "initial-stock-0-on_hand": seen,
            "stock-0-reserved": 0,
        }

    @staticmethod
    def stock(made: Product) -> tuple[int, int]:
        """On hand and reserved, as they are now."""
        return Stock.objects.values_list("on_hand", "reserved").get(pk=made.pk)

    def test_is_counted_anew(self, as_, superuser, tea):
        """The count is written, the reservation is not touched, whatever the form says of it; it is audited."""
        response = as_(superuser).post(f"{PRODUCTS}{tea.pk}/change/", self.form(tea, 25))
        assert response.status_code == 302
        assert self.stock(tea) == (25, 4)
        assert LogEntry.objects.get().user == superuser

    @pytest.mark.parametrize(
        ("counted", "says"), [(3, "4 are promised"), (-1, "greater than or equal"), ("x", "whole")]
    )
    def test_a_count_that_cannot_be_true_is_an_error_of_the_form(self, as_, superuser, tea, counted, says):
        """Fewer than are promised, or no number: said at the field, nothing changed, no error page."""
        response = as_(superuser).post(f"{PRODUCTS}{tea.pk}/change/", self.form(tea, counted))
        assert response.status_code == 200
        assert says in response.content.decode()
        assert self.stock(tea) == (10, 4)

    def test_a_count_too_large_for_the_table_is_an_error_of_the_form(self, as_, superuser, tea):
        """The column's bound is said, too."""
        response = as_(superuser).post(f"{PRODUCTS}{tea.pk}/change/", self.form(tea, 2**31))
        assert response.status_code == 200
        assert self.stock(tea) == (10, 4)

    def test_what_left_the_house_meanwhile_is_not_put_back(self, as_, superuser, tea):
        """The form was opened at 10, one was shipped, 12 is typed: asked again; saved again, it holds."""
        Stock.objects.filter(pk=tea.pk).update(on_hand=9, reserved=3)
        response = as_(superuser).post(f"{PRODUCTS}{tea.pk}/change/", self.form(tea, 12, seen=10))
        page = response.content.decode()
        assert "changed meanwhile from 10 to 9" in page
        assert self.stock(tea) == (9, 3)
        assert 'name="initial-stock-0-on_hand" value="9"' in page
        as_(superuser).post(f"{PRODUCTS}{tea.pk}/change/", self.form(tea, 12, seen=9))
        assert self.stock(tea) == (12, 3)

    def test_a_form_without_the_count_that_was_seen_is_refused(self, as_, superuser, tea):
        """A hand-made request cannot skip the comparison."""
        form = self.form(tea, 12)
        del form["initial-stock-0-on_hand"]
        assert (
            "changed meanwhile" in as_(superuser).post(f"{PRODUCTS}{tea.pk}/change/", form).content.decode()
        )
        assert self.stock(tea) == (10, 4)

    def test_a_new_product_has_stock(self, as_, superuser):
        """Also when that is none: an order for it is then out of stock, and not an error."""
        form = self.form(Product(name="Cup", sku="CUP"), 0, seen=0)
        del form["stock-0-product"]
        response = as_(superuser).post(f"{PRODUCTS}add/", form | {"stock-INITIAL_FORMS": 0})
        assert response.status_code == 302
        assert self.stock(Product.objects.get(sku="CUP")) == (0, 0)

    def test_needs_the_permission(self, as_, operator, tea):
        """Operators see the catalogue; they do not change it."""
        assert as_(operator).get(f"{PRODUCTS}{tea.pk}/change/").status_code == 200
        assert as_(operator).post(f"{PRODUCTS}{tea.pk}/change/", self.form(tea, 25)).status_code == 403
        assert self.stock(tea) == (10, 4)

    def test_products_are_not_deleted(self, as_, superuser, tea):
        """Orders go on to name them."""
        assert as_(superuser).post(f"{PRODUCTS}{tea.pk}/delete/", {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize("count", [1, 20])
    def test_number_of_queries_does_not_grow(self, as_, reader, count, django_assert_max_num_queries):
        """The list fetches the stock along."""
        for n in range(count):
            product(f"SKU{n}")
        browser = as_(reader)
        with django_assert_max_num_queries(MOST_QUERIES):
            browser.get(PRODUCTS)


class TestApiKeys:
    """API keys are seen and revoked."""

    def test_no_page_shows_a_hash(self, as_, superuser):
        """Not in the list, not on the page, not in the history."""
        issue(customer(), "ERP")
        key = ApiKey.objects.get()
        for page in (KEYS, f"{KEYS}{key.pk}/change/", f"{KEYS}{key.pk}/history/"):
            response = as_(superuser).get(page)
            assert response.status_code == 200
            assert key.key_hash not in response.content.decode()

    def test_is_revoked(self, as_, reader_with):
        """With the permission: the key opens nothing any more, and the reason is kept."""
        user, secret = reader_with("orders.change_apikey"), issue(customer(), "ERP")
        key = ApiKey.objects.get()
        response = as_(user).post(f"{KEYS}{key.pk}/operate/revoke/", {"reason": "Lost."}, follow=True)
        assert said(response) == ["1 API key was revoked."]
        assert customer_of(secret) is None
        assert LogEntry.objects.get().change_message == "Revoked: Lost."

    def test_is_not_revoked_without_permission(self, as_, operator):
        """403, and the key goes on to work; neither is a key made or changed here."""
        secret = issue(customer(), "ERP")
        key = ApiKey.objects.get()
        assert as_(operator).post(f"{KEYS}{key.pk}/operate/revoke/", {"reason": "x"}).status_code == 403
        assert customer_of(secret) is not None
        assert as_(operator).get(f"{KEYS}add/").status_code == 403


def test_daily_sales_are_for_reading(as_, superuser):
    """A subscriber of the events keeps them."""
    day = DailySales.objects.create(day="2026-11-21", currency="EUR", orders=2, revenue="10.00")
    url = f"/admin/orders/dailysales/{day.pk}/change/"
    assert "10.00" in as_(superuser).get("/admin/orders/dailysales/").content.decode()
    assert as_(superuser).get(url).status_code == 200
    assert as_(superuser).post(url, {"orders": 5}).status_code == 403
