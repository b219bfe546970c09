"""What the steps of an order do to it, to its stock and to what is told of it."""

from __future__ import annotations

import pytest

from orders.exceptions import OrderChanged
from orders.models import Order, Stock
from orders.services import stock
from orders.services.status import change_status
from outbox.models import Message
from tests.harness import shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    """Of two packets of tea."""
    shop.product("TEA", on_hand=10)
    return shop.order(count=2)


def test_a_status_is_reached_only_from_where_there_is_a_way(order: Order) -> None:
    """A change that comes too early, or twice, says why it is refused, and changes nothing."""
    change_status(order.pk, Order.Status.RESERVED)
    for wrong in (Order.Status.SHIPPED, Order.Status.RESERVED, Order.Status.CANCELLED):
        with pytest.raises(OrderChanged, match=f"is reserved: it cannot become {wrong}"):
            change_status(order.pk, wrong)
    order.refresh_from_db()
    assert (order.status, order.version, order.ended_at) == (Order.Status.RESERVED, 2, None)


def test_the_end_of_an_order_has_its_time_and_its_reason(order: Order) -> None:
    """As has every order that has ended; and there is no way on."""
    change_status(order.pk, Order.Status.CANCELLING, reason="Too dear.")
    change_status(order.pk, Order.Status.CANCELLED)
    order.refresh_from_db()
    assert order.ended_at is not None
    assert order.reason == "Too dear."
    with pytest.raises(OrderChanged):
        change_status(order.pk, Order.Status.PLACED)


@pytest.mark.parametrize(("end", "left"), [(stock.ship, 8), (stock.release, 10)])
def test_stock_is_taken_off_or_given_back_once(order: Order, end: object, left: int) -> None:
    """The second time there is nothing to end."""
    assert stock.reserve(order.pk) == 1
    assert [end(order.pk), end(order.pk)] == [1, 0]  # type: ignore[operator]
    shelf = Stock.objects.get()
    assert (shelf.on_hand, shelf.reserved) == (left, 0)


def test_a_step_goes_before_what_tells_of_orders(order: Order) -> None:
    """Relays, couriers and workers take what has the smaller number first."""
    priorities = dict(Message.objects.values_list("type", "priority"))
    assert priorities["orders.inventory.reserve"] < priorities["orders.order_placed"]
