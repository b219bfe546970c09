"""The audit's checks of the shop: stock is conserved, money and parcels agree with the outside ledgers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Sum
from django.db.models.functions import Coalesce

from orders.models import Order, Payment, Reservation, Shipment, Stock
from orders.sandbox.client import SandboxClient, SandboxError
from orders.services.placing import SAGA
from outbox.audit import audit_check
from outbox.saga.models import Saga


@audit_check
def stock_is_conserved() -> Iterator[str]:
    """What is promised is exactly what live reservations say."""
    promised = dict(
        Reservation.objects.filter(status=Reservation.Status.RESERVED)
        .values_list("product")
        .annotate(total=Coalesce(Sum("quantity"), 0))
    )
    for stock in Stock.objects.select_related("product"):
        live = promised.get(stock.product_id, 0)
        if stock.reserved != live:
            yield f"{stock.product.sku}: {stock.reserved} are marked as reserved, reservations say {live}."


@audit_check
def orders_and_sagas_agree() -> Iterator[str]:
    """G1 and G4: every order has its saga, and both ended the same way."""
    expected = {
        Saga.Status.COMPLETED: {Order.Status.SHIPPED},
        Saga.Status.COMPENSATED: {Order.Status.CANCELLED},
        Saga.Status.NEEDS_ATTENTION: {Order.Status.NEEDS_ATTENTION},
        Saga.Status.COMPENSATING: {Order.Status.CANCELLING, Order.Status.NEEDS_ATTENTION},
        Saga.Status.RUNNING: {*Order.CANCELLABLE, Order.Status.NEEDS_ATTENTION},
    }
    sagas = dict(Saga.objects.filter(definition=SAGA).values_list("key", "status"))
    for order in Order.objects.only("id", "status").iterator():
        status = sagas.get(str(order.id))
        if status is None:
            yield f"Order {order.id} has no saga."
        elif order.status not in expected[Saga.Status(status)]:
            yield f"Order {order.id} is {order.status} while its saga is {status}."


@audit_check
def ended_orders_hold_what_they_should() -> Iterator[str]:
    """A shipped order is paid and shipped once; a cancelled one holds no stock, no money and no parcel."""
    charged = _orders_with(Payment, Payment.Status.CHARGED)
    created = _orders_with(Shipment, Shipment.Status.CREATED)
    reserved = _orders_with(Reservation, Reservation.Status.RESERVED)
    for order in Order.objects.filter(status__in=Order.ENDED).only("id", "status").iterator():
        held = {"payment": order.id in charged, "parcel": order.id in created, "stock": order.id in reserved}
        should = order.status == Order.Status.SHIPPED
        for what, wanted in (("payment", should), ("parcel", should), ("stock", False)):
            if held[what] != wanted:
                yield f"Order {order.id} is {order.status} and has {'no' if wanted else 'a'} live {what}."


@audit_check
def money_agrees_with_the_provider() -> Iterator[str]:
    """One charge per order at most in the provider's ledger; live for shipped orders, none for cancelled ones."""
    yield from _compare("charge", "iter_charges", "succeeded")


@audit_check
def parcels_agree_with_the_carrier() -> Iterator[str]:
    """One shipment per order at most in the carrier's ledger; live for shipped orders, none for cancelled ones."""
    yield from _compare("shipment", "iter_shipments", "created")


def _compare(what: str, read: str, live_state: str) -> Iterator[str]:
    if not settings.SANDBOX_TOKEN:
        return  # a real provider has a reconciliation of its own
    live: defaultdict[str, int] = defaultdict(int)
    try:
        with SandboxClient(settings.SANDBOX_URL, settings.SANDBOX_TOKEN) as sandbox:
            for entry in getattr(sandbox, read)():
                live[entry.reference] += entry.state == live_state
    except SandboxError as error:
        yield f"The ledger of {what}s could not be read: {error}"
        return
    for order in Order.objects.only("id", "status").iterator():
        count = live.get(str(order.id), 0)
        if count > 1:
            yield f"Order {order.id} has {count} live {what}s outside."
        if order.status == Order.Status.SHIPPED and count != 1:
            yield f"Order {order.id} is shipped and has no live {what} outside."
        if order.status == Order.Status.CANCELLED and count:
            yield f"Order {order.id} is cancelled and has a live {what} outside."


def _orders_with(model: type[Payment] | type[Shipment] | type[Reservation], status: str) -> set[object]:
    return set(model.objects.filter(status=status).values_list("order_id", flat=True))
