"""What an operator, the audit and the tests ask: the ledger, page by page, and the fault switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse

from orders.sandbox import effects
from orders.sandbox.carrier import ledger_shipment
from orders.sandbox.effects import Effect, Service
from orders.sandbox.faults import Faults
from orders.sandbox.payments import ledger_charge
from orders.sandbox.problems import ProblemError
from orders.sandbox.reading import json_object, paging
from orders.sandbox.state import sandbox_of


async def list_charges(request: Request) -> JSONResponse:
    """``GET /ledger/charges?after=&limit=&reference=``: charges in the order they were recorded."""
    return _page(request, Service.PAYMENT, ledger_charge)


async def list_shipments(request: Request) -> JSONResponse:
    """``GET /ledger/shipments?after=&limit=&reference=``: shipments in the order they were recorded."""
    return _page(request, Service.SHIPPING, ledger_shipment)


class AllFaults(HTTPEndpoint):
    """``/faults``: the switches of both services."""

    async def get(self, request: Request) -> JSONResponse:
        """All switches, by service."""
        return JSONResponse(sandbox_of(request).faults.as_json())

    async def delete(self, request: Request) -> JSONResponse:
        """Both services behave again."""
        switches = sandbox_of(request).faults
        await switches.reset()
        return JSONResponse(switches.as_json())


async def put_faults(request: Request) -> JSONResponse:
    """``PUT /faults/{payment|shipping}``: replace a service's switches; those not named get their default."""
    service = _service(request.path_params["service"])
    faults = Faults.from_json(await json_object(request))
    switches = sandbox_of(request).faults
    await switches.put(service, faults)
    return JSONResponse(switches.as_json()[service])


async def healthz(request: Request) -> JSONResponse:
    """``GET /healthz``, without a token: 200 when the process answers and its ledger can be read."""
    sandbox_of(request).ledger.read(
        lambda connection: connection.execute("SELECT 1 FROM effects LIMIT 1").fetchone()
    )
    return JSONResponse({"status": "ok"})


def _page(request: Request, service: Service, render: Callable[[Effect], dict[str, Any]]) -> JSONResponse:
    after, limit, reference = paging(request)
    rows = sandbox_of(request).ledger.read(
        lambda connection: effects.page(connection, service, after=after, limit=limit, reference=reference)
    )
    following = str(rows[-1].seq) if len(rows) == limit else None
    return JSONResponse({"items": [render(row) for row in rows], "next": following})


def _service(name: str) -> Service:
    try:
        return Service(name)
    except ValueError as error:
        valid = ", ".join(Service)
        raise ProblemError(
            404, "unknown_service", f"No service is called {name}; the services are {valid}."
        ) from error
