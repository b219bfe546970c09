"""The sandbox as an ASGI application.

Run it with ``granian --interface asgi orders.sandbox.app:app --host 127.0.0.1 --port 8100`` and, in the
environment, ``SANDBOX_DB`` (the ledger's file) and ``SANDBOX_TOKEN`` (what clients must send). One worker: it
owns the ledger.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from orders.sandbox import carrier, control, payments
from orders.sandbox.effects import Service
from orders.sandbox.middleware import Lifecycle, RequireToken
from orders.sandbox.misbehaving import Endpoint, misbehaving
from orders.sandbox.problems import ProblemError, on_crash, on_http_exception, on_problem


def _payment(path: str, endpoint: Endpoint, method: str) -> Route:
    return Route(path, misbehaving(Service.PAYMENT, endpoint), methods=[method])


def _shipping(path: str, endpoint: Endpoint, method: str) -> Route:
    return Route(path, misbehaving(Service.SHIPPING, endpoint), methods=[method])


app = Starlette(
    routes=[
        _payment("/payments/charges", payments.create_charge, "POST"),
        _payment("/payments/charges/{key:path}", payments.show_charge, "GET"),
        _payment("/payments/refunds", payments.create_refund, "POST"),
        _shipping("/carrier/shipments", carrier.create_shipment, "POST"),
        _shipping("/carrier/shipments/{key:path}", carrier.show_shipment, "GET"),
        _shipping("/carrier/cancellations", carrier.create_cancellation, "POST"),
        Route("/ledger/charges", control.list_charges),
        Route("/ledger/shipments", control.list_shipments),
        Route("/faults", control.AllFaults),
        Route("/faults/{service}", control.put_faults, methods=["PUT"]),
        Route("/healthz", control.healthz),
    ],
    middleware=[Middleware(Lifecycle), Middleware(RequireToken)],
    exception_handlers={ProblemError: on_problem, HTTPException: on_http_exception, Exception: on_crash},
)
