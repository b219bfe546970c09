"""Cancel an order while that is still possible."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from orders.exceptions import CannotCancel
from orders.models import Order
from orders.services.placing import SAGA
from outbox.saga.api import SagaRefused, cancel
from outbox.saga.models import Saga

CANCELLED_BY_CUSTOMER = "You cancelled the order."


def cancel_order(order: Order, customer: User) -> None:
    """Call the fulfilment off: what was done is undone, in reverse order. Returns before that has happened.

    Raises:
        CannotCancel: it was shipped, or is cancelled already, or is past the last moment for it.
    """
    with transaction.atomic():
        saga = Saga.objects.get(definition=SAGA, key=str(order.id))
        try:
            cancel(saga.id, actor=customer.get_username(), reason=CANCELLED_BY_CUSTOMER)
        except SagaRefused:
            refused = _("Order %(number)s can no longer be cancelled.") % {"number": order.number}
            raise CannotCancel(refused) from None
