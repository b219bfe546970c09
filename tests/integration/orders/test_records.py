"""What the shop writes by statements of its own is what Django would have written."""

from __future__ import annotations

from contextlib import nullcontext
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, models, transaction

from orders.models import Order, OrderLine, Payment, Shipment
from orders.services import api_keys, records
from tests.harness import shop

pytestmark = pytest.mark.django_db

OF_ITS_OWN = {"id", "placed_at", "charged_at", "created_at"}


def test_an_order_is_written_as_django_would() -> None:
    """Each field that nobody gives has its model's default; the object is the row, and can be saved again."""
    shop.product("TEA"), shop.product("POT", price="20.00")
    customer, found = shop.customer(), records.products_by_sku(["TEA", "POT"])
    ordered = {found["POT"]: 1, found["TEA"]: 3}
    lines = [(found["POT"].id, 1, Decimal("20.00")), (found["TEA"].id, 3, Decimal("4.50"))]
    order = records.keep_order(customer, ordered, shop.BERLIN, card="tok_visa", language="ja")
    given = {"customer": customer, "total": Decimal("33.50"), "currency": "EUR", "card": "tok_visa"}
    assert _facts(order) == _facts(Order(**given, language="ja", **vars(shop.BERLIN)))
    assert _facts(Order.objects.get()) == _facts(order)
    assert [(x.product_id, x.quantity, x.unit_price) for x in OrderLine.objects.filter(order=order)] == lines
    order.card = "tok_other"
    order.save()
    assert Order.objects.get().card == "tok_other"


def test_what_is_paid_and_shipped_is_written_as_django_would() -> None:
    """With each model's defaults."""
    shop.product("TEA")
    order = shop.order()
    paid = {"amount": Decimal("4.50"), "currency": "EUR", "provider_id": "ch_1"}
    records.keep_payment(str(order.id), **paid, key="a")
    assert _facts(Payment.objects.get()) == _facts(Payment(order=order, **paid, idempotency_key="a"))
    sent = {"carrier_id": "sh_1", "tracking_number": "T1"}
    records.keep_shipment(str(order.id), **sent, key="b")
    assert _facts(Shipment.objects.get()) == _facts(Shipment(order=order, **sent, idempotency_key="b"))


def test_an_order_is_paid_and_shipped_once() -> None:
    """The database refuses the second one, whatever its key."""
    shop.product("TEA")
    order = str(shop.order().id)
    for key in ("a", "b"):
        with _refused(key == "b"), transaction.atomic():
            records.keep_payment(order, amount=Decimal(1), currency="EUR", provider_id="ch", key=key)
        with _refused(key == "b"), transaction.atomic():
            records.keep_shipment(order, carrier_id="sh", tracking_number="T", key=key)


@pytest.mark.parametrize("read", [records.due, records.delivery])
def test_an_order_that_is_not_there_is_told(read: Any) -> None:
    """By its id."""
    with pytest.raises(Order.DoesNotExist, match=(missing := str(uuid4()))):
        read(missing)


def test_a_keys_customer_is_whole() -> None:
    """As Django would have read them, to the last field."""
    customer = shop.customer()
    found = api_keys.customer_of(api_keys.issue(customer, "till"))
    customer.refresh_from_db()
    assert found == customer
    assert _facts(found) == _facts(customer)


def _facts(row: Any) -> dict[str, Any]:
    fields: list[models.Field[Any, Any]] = row._meta.concrete_fields
    return {field.attname: getattr(row, field.attname) for field in fields if field.name not in OF_ITS_OWN}


def _refused(is_second: bool) -> Any:
    return pytest.raises(IntegrityError) if is_second else nullcontext()
