"""The API's operations. They read, call a service, and show what came of it."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import UUID

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status
from ninja.responses import NinjaJSONEncoder

from orders import queries
from orders.api import presenting
from orders.api.idempotency import PARAMETER, idempotency_key
from orders.api.schemas import Json, OrderDetail, OrderIn, OrderListOut, OrderSummary, Problem, ProductOut
from orders.exceptions import InvalidOrder
from orders.models import Order
from orders.services.cancelling import cancel_order
from orders.services.idempotency import Answer, answer_once
from orders.services.placing import place_order
from orders.services.records import Delivery

router = Router()

POLL_AFTER_SECONDS = 2
OrderId = Annotated[UUID, Path(description="The order's id.")]


class ApiRequest(HttpRequest):
    """A request of a known customer. For type checkers: it is never made."""

    auth: User


@router.get(
    "/products",
    summary="What is for sale",
    response={200: list[ProductOut], 401: Problem},
    url_name="products",
    tags=["Catalogue"],
)
def products(request: ApiRequest) -> list[ProductOut]:  # noqa: ARG001  (ninja's signature)
    """Each product with its price, and how many can be ordered right now."""
    return [presenting.product(item) for item in queries.products_for_sale()]


@router.post(
    "/orders",
    summary="Place an order",
    response={202: OrderSummary, 400: Problem, 401: Problem, 403: Problem, 409: Problem, 422: Problem},
    url_name="orders",
    tags=["Orders"],
    openapi_extra={"parameters": [PARAMETER]},
)
def place(request: ApiRequest, order: OrderIn, response: HttpResponse) -> Status[Json]:
    """It is accepted at once and fulfilled afterwards: ask at `status_url` how far it is.

    The same `Idempotency-Key` with the same body gives the first answer again, and no second order.
    """
    quantities = _quantities(order)
    delivery = Delivery(**order.delivery.dict())

    def act() -> Answer:
        placed = place_order(request.auth, quantities, delivery, order.card)
        body = json.loads(json.dumps(presenting.summary(placed).dict(), cls=NinjaJSONEncoder))
        return Answer(202, body, presenting.address_of(placed))

    answer = answer_once(request.auth, idempotency_key(request), order.dict(), act)
    response["Location"] = answer.location
    response["Retry-After"] = str(POLL_AFTER_SECONDS)
    if answer.replayed:
        response["Idempotency-Replayed"] = "true"
    return Status(answer.status_code, answer.body)


@router.get(
    "/orders",
    summary="Your orders",
    response={200: OrderListOut, 401: Problem, 422: Problem},
    url_name="orders",
    tags=["Orders"],
)
def list_orders(
    request: ApiRequest,
    cursor: Annotated[str, Query(description="`next_cursor` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=100, description="Orders on a page.")] = 20,
    status: Annotated[Order.Status | None, Query(description="Only orders with this status.")] = None,
) -> OrderListOut:
    """Newest first, a page at a time."""
    page = queries.orders_of(request.auth, cursor=cursor, limit=limit, statuses=[status] if status else [])
    return OrderListOut(orders=[presenting.summary(o) for o in page.orders], next_cursor=page.next_cursor)


@router.get(
    "/orders/{uuid:order_id}",
    summary="How far an order is",
    response={200: OrderDetail, 401: Problem, 404: Problem},
    url_name="order",
    tags=["Orders"],
)
def show(request: ApiRequest, order_id: OrderId, response: HttpResponse) -> OrderDetail:
    """With each step of its fulfilment. While more is to come, `Retry-After` says when to ask again."""
    order = _order(request, order_id)
    if order.status not in Order.ENDED:
        response["Retry-After"] = str(POLL_AFTER_SECONDS)
    return presenting.detail(order)


@router.post(
    "/orders/{uuid:order_id}/cancellation",
    summary="Call an order off",
    response={202: OrderDetail, 401: Problem, 403: Problem, 404: Problem, 409: Problem},
    url_name="cancellation",
    tags=["Orders"],
)
def cancel(request: ApiRequest, order_id: OrderId, response: HttpResponse) -> Status[OrderDetail]:
    """While that is possible. It is accepted at once; what was done is undone afterwards."""
    cancel_order(_order(request, order_id), request.auth)
    order = _order(request, order_id)
    response["Location"] = presenting.address_of(order)
    response["Retry-After"] = str(POLL_AFTER_SECONDS)
    return Status(202, presenting.detail(order))


def _order(request: ApiRequest, order_id: UUID) -> Order:
    try:
        return queries.order_of(request.auth, order_id)
    except Order.DoesNotExist:
        raise Http404 from None


def _quantities(order: OrderIn) -> dict[str, int]:
    """How many of each product, by SKU.

    Raises:
        InvalidOrder: a product is there twice: whether the sum or a slip is meant, nobody knows.
    """
    quantities: dict[str, int] = {}
    for number, line in enumerate(order.lines):
        if line.sku in quantities:
            detail = f"{line.sku} is there twice. Put all of it into one line."
            raise InvalidOrder({f"lines/{number}/sku": detail})
        quantities[line.sku] = line.quantity
    return quantities
