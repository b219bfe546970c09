"""Check out: the basket becomes an order, in one transaction."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from orders.baskets import contents_of
from orders.exceptions import OrdersError
from orders.models import BasketItem, Order
from orders.services.placing import place_order
from orders.services.records import Delivery


class BasketChanged(OrdersError):
    """The basket is not what the customer has seen: another tab, a price, the stock, or it was ordered meanwhile."""


@transaction.atomic
def check_out(customer: User, seen: str, delivery: Delivery, card: str) -> Order:
    """Order what is in the customer's basket, and empty it. Two tabs at once make one order.

    Args:
        customer: whose basket.
        seen: the ``fingerprint`` of the contents that were shown: nobody orders what they have not seen.
        delivery: where to.
        card: the payment provider's token.

    Raises:
        BasketChanged: the contents or a price have changed; nothing was ordered.
        InvalidOrder: see :func:`orders.services.placing.place_order`.
    """
    items = list(BasketItem.objects.select_for_update().filter(customer=customer).order_by("pk"))
    contents = contents_of({item.product_id: item.quantity for item in items})
    if not contents.lines or contents.in_trouble or contents.fingerprint != seen:
        raise BasketChanged("Your basket has changed. Nothing was ordered yet: please look at it again.")
    order = place_order(customer, contents.quantities, delivery, card)
    BasketItem.objects.filter(pk__in=[item.pk for item in items]).delete()
    return order
