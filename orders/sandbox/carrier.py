"""The carrier's API: shipments and their cancellation."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse

from orders.sandbox import effects
from orders.sandbox.effects import Effect, Service, State, UndoRequest, Verdict
from orders.sandbox.faults import Faults
from orders.sandbox.problems import ProblemError
from orders.sandbox.reading import FieldError, idempotency_key, json_object, key_field, read_fields, text
from orders.sandbox.state import sandbox_of

STATES = {
    State.DONE: "created",
    State.REFUSED: "refused",
    State.UNDONE: "cancelled",
    State.VOIDED: "voided",
}


async def create_shipment(request: HttpRequest) -> JSONResponse:
    """``POST /carrier/shipments``: 201 the first time, 200 with the same body again, 422 for a refused
    address.

    409 ``voided`` after a cancellation of a shipment that had not come; 422 ``idempotency_mismatch`` for
    another body.
    """
    key = idempotency_key(request)
    details = read_fields(await json_object(request), _SHIPMENT)
    reference = details.pop("reference")
    sandbox = sandbox_of(request)
    refusal = _refusal(sandbox.faults[Service.SHIPPING], key, details)
    wanted = effects.Request(Service.SHIPPING, key, reference, details)
    verdict, shipment = await sandbox.ledger.write(
        lambda connection: effects.perform(connection, wanted, refusal)
    )
    if verdict is Verdict.VOIDED:
        raise ProblemError(
            409, "voided", "This shipment was cancelled before it came: its key is void for ever."
        )
    if verdict is Verdict.MISMATCH:
        raise ProblemError(
            422, "idempotency_mismatch", "This Idempotency-Key belongs to a shipment with another body."
        )
    if shipment.refusal is not None:
        raise ProblemError(
            422, shipment.refusal, "The carrier does not deliver to this address.", id=_id(shipment)
        )
    # The first answer again, also when the shipment was cancelled since: the key's answer never changes.
    return JSONResponse(_shipment(shipment) | {"status": "created"}, 201 if verdict is Verdict.NEW else 200)


async def create_cancellation(request: HttpRequest) -> JSONResponse:
    """``POST /carrier/cancellations``: 201 the first time, 200 with the same body again."""
    key = idempotency_key(request)
    fields = read_fields(await json_object(request), _CANCELLATION)
    wanted = UndoRequest(Service.SHIPPING, key, fields["shipment_key"], fields["reference"])
    verdict, cancelled = await sandbox_of(request).ledger.write(
        lambda connection: effects.undo(connection, wanted)
    )
    if verdict is Verdict.MISMATCH:
        detail = "This Idempotency-Key belongs to a cancellation with another body."
        raise ProblemError(422, "idempotency_mismatch", detail)
    status = "cancelled" if cancelled.undone else "nothing_to_cancel"
    body = {"id": f"ca_{cancelled.id}", "status": status, "shipment_key": cancelled.target_key}
    return JSONResponse(body, 201 if verdict is Verdict.NEW else 200)


async def show_shipment(request: HttpRequest) -> JSONResponse:
    """``GET /carrier/shipments/{key}``: the shipment as it is now; 404 when the key is unknown."""
    key: str = request.path_params["key"]
    shipment = sandbox_of(request).ledger.read(
        lambda connection: effects.find(connection, Service.SHIPPING, key)
    )
    if shipment is None:
        raise ProblemError(404, "not_found", f"No shipment has the key {key}.")
    return JSONResponse(ledger_shipment(shipment))


def ledger_shipment(shipment: Effect) -> dict[str, Any]:
    """A shipment as the ledger tells it; the address stays inside, it is nobody's business here."""
    return _shipment(shipment) | {
        "key": shipment.key,
        "state": STATES[shipment.state],
        "code": shipment.refusal,
        "created_at": shipment.created_at,
        "cancelled_at": shipment.undone_at,
    }


def _shipment(shipment: Effect) -> dict[str, Any]:
    exists = shipment.state in (State.DONE, State.UNDONE)
    return {
        "id": _id(shipment),
        "tracking_number": f"TDK{int(shipment.id[:12], 16):015d}" if exists else None,
        "reference": shipment.reference,
    }


def _id(shipment: Effect) -> str:
    return f"sh_{shipment.id}"


def _refusal(faults: Faults, key: str, details: dict[str, Any]) -> str | None:
    unreachable = details["postcode"].startswith("00") or details["country"] == "XX"
    return "address_refused" if unreachable or faults.declines(key) else None


def _country(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z]{2}", value):
        raise FieldError('must be a two-letter country code, such as "DE"')
    return value.upper()


_SHIPMENT = {
    "reference": text(255),
    "recipient": text(200),
    "address": text(500),
    "postcode": text(20),
    "city": text(200),
    "country": _country,
}
_CANCELLATION = {"shipment_key": key_field, "reference": text(255)}
