"""Why an order was cancelled, in the reader's language.

The reason is stored with the order as a sentence in English, whoever gave it: a step, a gateway, the customer. The
sentences that are known here are translated; any other is shown as it was given.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext, gettext_noop

from orders.models import Order, OrderLine

KNOWN = (
    gettext_noop("You cancelled the order."),
    gettext_noop("Your card was declined. Please use another card."),
    gettext_noop("Your card does not have enough funds. Please use another card."),
    gettext_noop("Your card has expired. Please use another card."),
    gettext_noop("We cannot deliver to this address."),
    gettext_noop("A service that we need could not be reached for too long."),
    gettext_noop("Something went wrong on our side."),
)
OUT_OF_STOCK = re.compile(r"There is not enough (?P<product>.+) left for (?P<count>\d+)\.")


def in_words(order: Order, reason: str) -> str:
    """The reason, in the language that is active."""
    if reason in KNOWN:
        return gettext(reason)
    if found := OUT_OF_STOCK.fullmatch(reason):
        told = {"product": _local_name(order, found["product"]), "count": int(found["count"])}
        return gettext("There is not enough %(product)s left for %(count)s.") % told
    return reason


def _local_name(order: Order, name: str) -> str:
    lines = OrderLine.objects.filter(order_id=order.pk, product__name=name).select_related("product")
    line = lines.first()
    return line.product.local_name if line else name
