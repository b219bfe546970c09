"""Stock under orders that come at the same time, on connections of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connections, transaction

from orders.exceptions import OutOfStock
from orders.models import Order, Reservation, Stock
from orders.services import stock
from orders.services.placing import place_order
from orders.services.stocktaking import check_count, set_count
from tests.harness import shop
from tests.harness.concurrent import in_background, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


def order(**quantities: int) -> Order:
    """An order of these."""
    return place_order(shop.customer(), quantities, shop.BERLIN, shop.GOOD_CARD)


def apart(work: Callable[[UUID], int], placed: Order) -> int:
    """Do it in a transaction of its own; 0 where there is too little."""
    try:
        with suppress(OutOfStock), transaction.atomic():
            return work(placed.pk)
        return 0
    finally:
        connections.close_all()


def shelf() -> dict[str, tuple[int, int]]:
    """What is on hand and what is promised, by SKU."""
    return {s.product.sku: (s.on_hand, s.reserved) for s in Stock.objects.select_related("product")}


def test_the_last_one_is_promised_once() -> None:
    """However many ask for it at the same time."""
    shop.product("TEA", on_hand=1)
    orders = [order(TEA=1) for _ in range(4)]
    together = Barrier(4)

    def reserve(placed: Order) -> int:
        together.wait(10)
        return apart(stock.reserve, placed)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(reserve, orders)) == [0, 0, 0, 1]
    assert shelf() == {"TEA": (1, 1)}
    assert Reservation.objects.count() == 1


def test_a_product_that_lacks_is_named_and_nothing_is_kept() -> None:
    """Also where there is enough of the others: an order is promised all of it or none."""
    shop.product("TEA", on_hand=5)
    shop.product("CUP", on_hand=1)
    placed = order(CUP=2, TEA=2)
    with pytest.raises(OutOfStock, match="There is not enough Cup left for 2"), transaction.atomic():
        stock.reserve(placed.pk)
    assert shelf() == {"TEA": (5, 0), "CUP": (1, 0)}
    assert not Reservation.objects.exists()


def test_what_is_given_back_meanwhile_counts() -> None:
    """Who waits for a product's lock sees what its holder has left there, not what was there before."""
    shop.product("TEA", on_hand=1)
    first, second = order(TEA=1), order(TEA=1)
    stock.reserve(first.pk)
    with transaction.atomic():
        stock.release(first.pk)
        waiting = in_background(lambda: apart(stock.reserve, second))
        wait_until_blocked()
    assert waiting.result(10) == 1
    assert shelf() == {"TEA": (1, 1)}


@pytest.mark.parametrize(("before", "after", "lines"), [(5, 20, 1), (20, 5, 0)])
def test_a_count_that_is_corrected_meanwhile_counts(before: int, after: int, lines: int) -> None:
    """Upwards and downwards: what a person has counted is there when the order's turn has come."""
    tea = shop.product("TEA", on_hand=before)
    placed = order(TEA=8)
    with transaction.atomic():
        check_count(tea.pk, counted=after, seen=before)
        set_count(tea.pk, after)
        waiting = in_background(lambda: apart(stock.reserve, placed))
        wait_until_blocked()
    assert waiting.result(10) == lines
    assert shelf() == {"TEA": (after, 8 * lines)}


def test_orders_of_the_same_products_never_deadlock() -> None:
    """In whatever order their lines stand, and whether stock is promised or leaves the house."""
    skus = ("TEA", "CUP", "POT")
    for sku in skus:
        shop.product(sku)
    orders = [order(**dict.fromkeys(skus[n % 3 :] + skus[: n % 3], 1)) for n in range(24)]
    orders += [order(**dict.fromkeys(reversed(skus), 1)) for _ in range(24)]
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda placed: apart(stock.reserve, placed), orders)) == {3}
        assert set(threads.map(lambda placed: apart(stock.ship, placed), orders)) == {3}
    assert shelf() == dict.fromkeys(skus, (1000 - 48, 0))
