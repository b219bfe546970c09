"""The payment provider keeps its word: one charge per key, one refund per charge, nothing after a void."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from orders.sandbox.client import SandboxClient

Ask = Callable[..., httpx.Response]


def test_same_key_gives_the_same_charge(charge: Ask, key: str) -> None:
    """A repeated request is answered 200 with the first answer's body, quoted key or bare."""
    first, again = charge(key), charge(f'"{key}"')

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert first.json()["status"] == "succeeded"
    assert first.json()["amount"] == "12.50"


def test_concurrent_identical_requests_make_one_charge(
    http: httpx.Client, control: SandboxClient, key: str
) -> None:
    """Of 20 identical requests at once, one acts and 19 are told its answer."""
    answers = asyncio.run(_at_once(http, [("/payments/charges", key, _charge_body(key))] * 20))

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert len(list(control.iter_charges(key))) == 1


def test_charge_and_refund_at_once_leave_nothing_charged(
    http: httpx.Client, control: SandboxClient, new_key: Callable[[], str]
) -> None:
    """Whichever of a charge and its refund comes first, the money is not kept."""
    keys = [new_key() for _ in range(20)]
    requests: list[tuple[str, str, dict[str, str]]] = []
    for key in keys:
        charge = ("/payments/charges", key, _charge_body(key))
        refund = ("/payments/refunds", f"{key}:undo", {"charge_key": key, "reference": key})
        requests += [charge, refund] if len(requests) % 4 else [refund, charge]

    asyncio.run(_at_once(http, requests))

    states = [charge.state for key in keys for charge in control.iter_charges(key)]
    assert len(states) == len(keys)
    assert set(states) <= {"refunded", "voided"}


@pytest.mark.parametrize(
    "change", [{"amount": "12.51"}, {"card": "tok_mastercard"}, {"reference": "order-2"}]
)
def test_another_body_with_the_same_key_is_a_mismatch(charge: Ask, key: str, change: dict[str, str]) -> None:
    """A key belongs to its first body: another one is 422 and changes nothing."""
    first = charge(key)
    other = charge(key, **change)

    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_mismatch"
    assert charge(key).json() == first.json()


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired", "card_expired"),
    ],
)
def test_a_decline_is_permanent(charge: Ask, http: httpx.Client, key: str, card: str, code: str) -> None:
    """A declining card is refused with its code, recorded, and refused again in the same words."""
    first, again = charge(key, card=card), charge(key, card=card)

    assert first.status_code == again.status_code == 402
    assert first.headers["content-type"] == "application/problem+json"
    assert first.json()["code"] == code
    assert again.json() == first.json()
    assert http.get(f"/payments/charges/{key}").json()["state"] == "declined"


def test_a_refund_without_a_charge_voids_it_for_ever(
    charge: Ask, post: Ask, http: httpx.Client, key: str
) -> None:
    """A refund that comes first leaves a tombstone: the late charge is refused, time and again."""
    refund = post("/payments/refunds", f"{key}:undo", charge_key=key, reference="order-1")

    assert (refund.status_code, refund.json()["status"]) == (201, "nothing_to_refund")
    for late in (charge(key), charge(key), charge(key, amount="1.00")):
        assert (late.status_code, late.json()["code"]) == (409, "voided")
    assert http.get(f"/payments/charges/{key}").json()["state"] == "voided"


def test_a_charge_is_refunded_once(
    charge: Ask, post: Ask, control: SandboxClient, new_key: Any, key: str
) -> None:
    """Neither the same refund again nor another one moves money twice; the first refund's time stays."""
    reference = new_key()
    charge(key, reference=reference)
    first = post("/payments/refunds", f"{key}:undo", charge_key=key, reference=reference)
    (refunded,) = control.iter_charges(reference)
    again = post("/payments/refunds", f"{key}:undo", charge_key=key, reference=reference)
    other = post("/payments/refunds", f"{key}:undo-2", charge_key=key, reference=reference)

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert first.json() == again.json()
    assert first.json()["status"] == other.json()["status"] == "refunded"
    assert refunded.state == "refunded"
    assert list(control.iter_charges(reference)) == [refunded]


def test_a_refunded_charge_is_not_charged_again(charge: Ask, post: Ask, http: httpx.Client, key: str) -> None:
    """The charge's key keeps its first answer after the refund, and the money stays refunded."""
    first = charge(key)
    post("/payments/refunds", f"{key}:undo", charge_key=key, reference="order-1")

    assert charge(key).json() == first.json()
    assert http.get(f"/payments/charges/{key}").json()["state"] == "refunded"


def test_a_refund_key_belongs_to_its_body(
    charge: Ask, post: Ask, key: str, new_key: Callable[[], str]
) -> None:
    """A refund's key with another charge is a mismatch, and the other charge is left alone."""
    other = new_key()
    charge(key), charge(other)
    post("/payments/refunds", f"{key}:undo", charge_key=key, reference="order-1")
    mismatch = post("/payments/refunds", f"{key}:undo", charge_key=other, reference="order-1")

    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")
    assert charge(other).json()["status"] == "succeeded"


def test_an_unknown_charge_is_not_found(http: httpx.Client, key: str) -> None:
    """Reconciling asks by key; a key never seen is 404 with a code of its own, unlike a wrong path."""
    assert http.get(f"/payments/charges/{key}").json()["code"] == "not_found"
    assert http.get("/payments/nonsense").json()["code"] == "unknown_path"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 12.5}, "amount"),
        ({"amount": "0.00"}, "amount"),
        ({"amount": "-1.00"}, "amount"),
        ({"amount": "1.005"}, "amount"),
        ({"amount": "١٢"}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"card": "4242424242424242"}, "card"),
        ({"reference": " "}, "reference"),
        ({"ammount": "1.00"}, "ammount"),
    ],
)
def test_bad_fields_are_named(
    charge: Ask, http: httpx.Client, key: str, change: dict[str, Any], field: str
) -> None:
    """A wrong field is named with what is wrong, and the key stays unused."""
    answer = charge(key, **change)

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert http.get(f"/payments/charges/{key}").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_told(http: httpx.Client, key: str, body: bytes) -> None:
    """Anything but a JSON object is a 400, never a crash."""
    answer = http.post("/payments/charges", headers={"Idempotency-Key": key}, content=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({}, "idempotency_key_missing"),
        ({"Idempotency-Key": '""'}, "idempotency_key_missing"),
        ({"Idempotency-Key": "a b"}, "idempotency_key_invalid"),
        ({"Idempotency-Key": "k" * 256}, "idempotency_key_invalid"),
    ],
)
def test_the_key_is_required(http: httpx.Client, key: str, header: dict[str, str], code: str) -> None:
    """No effect without a usable idempotency key."""
    answer = http.post("/payments/charges", headers=header, json=_charge_body(key))

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def _charge_body(reference: str) -> dict[str, str]:
    return {"amount": "12.50", "currency": "EUR", "card": "tok_visa", "reference": reference}


async def _at_once(
    http: httpx.Client, requests: list[tuple[str, str, dict[str, str]]]
) -> list[httpx.Response]:
    async with httpx.AsyncClient(base_url=http.base_url, headers=http.headers, trust_env=False) as client:
        return await asyncio.gather(
            *(client.post(path, headers={"Idempotency-Key": key}, json=body) for path, key, body in requests)
        )
