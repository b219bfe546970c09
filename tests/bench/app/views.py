"""The view that does everything in the request: what the platform takes out of it."""

from __future__ import annotations

import json

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orders.services.api_keys import customer_of
from orders.services.records import Delivery
from tests.bench.app import unsafe


@csrf_exempt
@require_POST
def order_in_the_request(request: HttpRequest) -> JsonResponse:
    """Place the order, reserve, charge and ship, and only then answer."""
    customer = customer_of(request.headers.get("Authorization", "").removeprefix("Bearer "))
    if customer is None:
        return JsonResponse({"detail": "Send an API key."}, status=401)
    body = json.loads(request.body)
    quantities = {line["sku"]: line["quantity"] for line in body["lines"]}
    order = unsafe.place(customer, quantities, Delivery(**body["delivery"]), body["card"])
    unsafe.reserve(str(order.id))
    unsafe.take_money(str(order.id))
    unsafe.hand_over(str(order.id))
    return JsonResponse({"id": str(order.id), "status": "shipped"}, status=201)
