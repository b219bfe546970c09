"""Orders and products as the API shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.urls import reverse

from orders import queries
from orders.api.schemas import DeliveryIn, LineOut, OrderDetail, OrderSummary, ProductOut, StepOut
from orders.models import Order, OrderLine, Product
from orders.progress import StepProgress, progress_of, reason_of


def address_of(order: Order) -> str:
    """Where to ask how far an order is."""
    return reverse("api:order", args=[order.id])


def summary(order: Order) -> OrderSummary:
    """An order at a glance. Asks the database nothing."""
    return OrderSummary(**_summary(order))


def detail(order: Order) -> OrderDetail:
    """An order that :func:`orders.queries.order_of` read, and how far it is."""
    progress = progress_of(order)
    return OrderDetail(
        **_summary(order),
        reason=reason_of(order) or None,
        tracking_number=queries.tracking_number(order),
        cancellable=progress.cancellable,
        cancel_requested=progress.cancel_requested,
        lines=[_line(line) for line in order.lines.all()],
        delivery=DeliveryIn.model_construct(
            **{name: getattr(order, name) for name in DeliveryIn.model_fields}
        ),
        progress=[_step(step) for step in progress.steps],
    )


def product(item: Product) -> ProductOut:
    """A product with its stock."""
    return ProductOut(
        sku=item.sku,
        name=item.name,
        description=item.description,
        price=item.price,
        currency=item.currency,
        available=queries.available(item),
    )


def _summary(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "number": order.number,
        "status": Order.Status(order.status),
        "status_url": address_of(order),
        "total": order.total,
        "currency": order.currency,
        "placed_at": order.placed_at,
        "ended_at": order.ended_at,
    }


def _line(line: OrderLine) -> LineOut:
    return LineOut(
        sku=line.product.sku, name=line.product.name, quantity=line.quantity, unit_price=line.unit_price
    )


def _step(step: StepProgress) -> StepOut:
    values = asdict(step)
    return StepOut(step=values.pop("name"), **values)
