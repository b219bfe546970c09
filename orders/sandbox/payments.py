"""The payment provider's API: charges and refunds."""

from __future__ import annotations

import re
from decimal import Decimal
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
    State.DONE: "succeeded",
    State.REFUSED: "declined",
    State.UNDONE: "refunded",
    State.VOIDED: "voided",
}

DECLINING_CARDS = {
    "tok_declined": "card_declined",
    "tok_insufficient_funds": "insufficient_funds",
    "tok_expired": "card_expired",
}

_DECLINES = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "The card has insufficient funds.",
    "card_expired": "The card has expired.",
}


async def create_charge(request: HttpRequest) -> JSONResponse:
    """``POST /payments/charges``: 201 the first time, 200 with the same body again, 402 for a decline.

    409 ``voided`` after a refund for a charge that had not come; 422 ``idempotency_mismatch`` for another
    body.
    """
    key = idempotency_key(request)
    details = read_fields(await json_object(request), _CHARGE)
    reference = details.pop("reference")
    sandbox = sandbox_of(request)
    refusal = _refusal(sandbox.faults[Service.PAYMENT], key, details["card"])
    wanted = effects.Request(Service.PAYMENT, key, reference, details)
    verdict, charge = await sandbox.ledger.write(
        lambda connection: effects.perform(connection, wanted, refusal)
    )
    if verdict is Verdict.VOIDED:
        raise ProblemError(
            409, "voided", "This charge was refunded before it came: its key is void for ever."
        )
    if verdict is Verdict.MISMATCH:
        raise ProblemError(
            422, "idempotency_mismatch", "This Idempotency-Key belongs to a charge with another body."
        )
    if charge.refusal is not None:
        raise ProblemError(402, charge.refusal, _DECLINES[charge.refusal], id=_id(charge))
    # The first answer again, also when the charge was refunded since: the key's answer never changes.
    return JSONResponse(_charge(charge) | {"status": "succeeded"}, 201 if verdict is Verdict.NEW else 200)


async def create_refund(request: HttpRequest) -> JSONResponse:
    """``POST /payments/refunds``: 201 the first time, 200 with the same body again."""
    key = idempotency_key(request)
    fields = read_fields(await json_object(request), _REFUND)
    wanted = UndoRequest(Service.PAYMENT, key, fields["charge_key"], fields["reference"])
    verdict, refund = await sandbox_of(request).ledger.write(
        lambda connection: effects.undo(connection, wanted)
    )
    if verdict is Verdict.MISMATCH:
        raise ProblemError(
            422, "idempotency_mismatch", "This Idempotency-Key belongs to a refund with another body."
        )
    status = "refunded" if refund.undone else "nothing_to_refund"
    body = {"id": f"re_{refund.id}", "status": status, "charge_key": refund.target_key}
    return JSONResponse(body, 201 if verdict is Verdict.NEW else 200)


async def show_charge(request: HttpRequest) -> JSONResponse:
    """``GET /payments/charges/{key}``: the charge as it is now; 404 when the key is unknown."""
    key: str = request.path_params["key"]
    charge = sandbox_of(request).ledger.read(
        lambda connection: effects.find(connection, Service.PAYMENT, key)
    )
    if charge is None:
        raise ProblemError(404, "not_found", f"No charge has the key {key}.")
    return JSONResponse(ledger_charge(charge))


def ledger_charge(charge: Effect) -> dict[str, Any]:
    """A charge as the ledger tells it: a void one has neither amount nor currency."""
    return _charge(charge) | {
        "key": charge.key,
        "state": STATES[charge.state],
        "code": charge.refusal,
        "created_at": charge.created_at,
        "refunded_at": charge.undone_at,
    }


def _charge(charge: Effect) -> dict[str, Any]:
    return {
        "id": _id(charge),
        "amount": charge.details.get("amount"),
        "currency": charge.details.get("currency"),
        "reference": charge.reference,
    }


def _id(charge: Effect) -> str:
    return f"ch_{charge.id}"


def _refusal(faults: Faults, key: str, card: str) -> str | None:
    return DECLINING_CARDS.get(card) or ("card_declined" if faults.declines(key) else None)


def _amount(value: Any) -> str:
    if (
        not isinstance(value, str)
        or not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2})?", value)
        or not Decimal(value)
    ):
        raise FieldError('must be a string with a positive amount and at most two decimals, such as "12.50"')
    return str(Decimal(value).quantize(Decimal("0.01")))


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        raise FieldError('must be a three-letter code in capitals, such as "EUR"')
    return value


def _card(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("tok_[A-Za-z0-9_]{1,60}", value):
        raise FieldError('must be a card token such as "tok_visa", never a card number')
    return value


_CHARGE = {"amount": _amount, "currency": _currency, "card": _card, "reference": text(255)}
_REFUND = {"charge_key": key_field, "reference": text(255)}
