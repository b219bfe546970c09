"""Place an order: rows in one transaction, and nothing else. No broker, no outside service is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from orders.events import LATER, OrderPlaced
from orders.exceptions import InvalidOrder
from orders.models import Order, Product
from orders.services.records import Delivery, keep_order, products_by_sku
from outbox.api import publish, working_on
from outbox.saga.api import start

SAGA = "orders.fulfilment"
MOST_OF_ONE = 999


def place_order(customer: User, quantities: Mapping[str, int], delivery: Delivery, card: str) -> Order:
    """Write the order, its lines, its saga with the first step's command, and the event ``orders.order_placed``.

    Args:
        customer: who orders.
        quantities: how many of each product, by SKU.
        delivery: where to.
        card: the payment provider's token for the card.

    Raises:
        InvalidOrder: a product is not for sale, a quantity or a field is not usable; says which.

    Letters about the order are written in the language that is active now.

    Not guaranteed: that there is stock. That is the first step's decision, and the order's page tells it.
    """
    check_fields(delivery, card)
    products = _products(quantities)
    ordered = {products[sku]: count for sku, count in quantities.items()}
    language = get_language() or settings.LANGUAGE_CODE
    with transaction.atomic(savepoint=False):  # what fails here spoils the caller's transaction, too
        order = keep_order(customer, ordered, delivery, card=card, language=language)
        with working_on(correlation_id=str(order.id)):
            start(SAGA, str(order.id), actor=customer.get_username())
            publish(OrderPlaced(order.id, order.total, order.currency), priority=LATER)
    return order


def check_fields(delivery: Delivery, card: str) -> None:
    """Check what people typed.

    Raises:
        InvalidOrder: with a sentence for each field that is missing or too long.
    """
    typed: dict[str, Any] = {**vars(delivery), "card": card}
    errors = {}
    for name, value in typed.items():
        if not value.strip():
            errors[name] = _("Please fill in the %(field)s.") % {"field": name}
        elif len(value) > (limit := _longest(name)):
            errors[name] = _("The %(field)s is too long: at most %(limit)s characters.") % {
                "field": name,
                "limit": limit,
            }
    if "country" not in errors and not (len(delivery.country) == 2 and delivery.country.isalpha()):
        errors["country"] = _("Please give the country as two letters, such as DE.")
    if errors:
        raise InvalidOrder(errors)


def _longest(name: str) -> int:
    """How many characters the order's column takes."""
    return int(Order._meta.get_field(name).max_length or 0)  # type: ignore[union-attr]  # none is a relation


def _products(quantities: Mapping[str, int]) -> dict[str, Product]:
    """The products ordered, by SKU."""
    if not quantities:
        raise InvalidOrder({"lines": _("Please choose at least one product.")})
    products = products_by_sku(quantities)
    for sku, count in quantities.items():
        if sku not in products:
            raise InvalidOrder({"lines": _("There is no product '%(sku)s' for sale.") % {"sku": sku}})
        if not 1 <= count <= MOST_OF_ONE:
            limits = {"most": MOST_OF_ONE, "product": products[sku].local_name}
            raise InvalidOrder({"lines": _("Please order 1 to %(most)s of %(product)s.") % limits})
    if len({p.currency for p in products.values()}) > 1:
        raise InvalidOrder({"lines": _("Products in different currencies need separate orders.")})
    return products
