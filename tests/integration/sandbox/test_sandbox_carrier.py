"""The carrier keeps its word: one shipment per key, one cancellation per shipment, nothing after a void."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from orders.sandbox.client import SandboxClient

Ask = Callable[..., httpx.Response]


def test_same_key_gives_the_same_shipment(ship: Ask, key: str) -> None:
    """A repeated request is answered 200 with the first answer's body, tracking number included."""
    first, again = ship(key), ship(key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert first.json()["status"] == "created"
    assert first.json()["tracking_number"].startswith("TDK")


def test_another_address_with_the_same_key_is_a_mismatch(ship: Ask, key: str) -> None:
    """A key belongs to its first body."""
    ship(key)
    other = ship(key, city="Hamburg")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("address", [{"postcode": "00123"}, {"country": "XX"}, {"country": "xx"}])
def test_an_unreachable_address_is_refused_for_ever(
    ship: Ask, http: httpx.Client, key: str, address: dict[str, str]
) -> None:
    """The refusal is recorded and repeated in the same words; no tracking number is given out."""
    first, again = ship(key, **address), ship(key, **address)

    assert first.status_code == again.status_code == 422
    assert first.json()["code"] == "address_refused"
    assert again.json() == first.json()
    recorded = http.get(f"/carrier/shipments/{key}").json()
    assert (recorded["state"], recorded["tracking_number"]) == ("refused", None)


def test_a_cancellation_without_a_shipment_voids_it_for_ever(ship: Ask, post: Ask, key: str) -> None:
    """A cancellation that comes first leaves a tombstone: the late shipment is refused."""
    cancelled = post("/carrier/cancellations", f"{key}:undo", shipment_key=key, reference="order-1")

    assert (cancelled.status_code, cancelled.json()["status"]) == (201, "nothing_to_cancel")
    assert [ship(key).json()["code"] for _ in range(2)] == ["voided", "voided"]


def test_a_shipment_is_cancelled_once(ship: Ask, post: Ask, control: SandboxClient, key: str) -> None:
    """The same cancellation again is answered alike and changes nothing."""
    ship(key, reference=key)
    first = post("/carrier/cancellations", f"{key}:undo", shipment_key=key, reference=key)
    (cancelled,) = control.iter_shipments(key)
    again = post("/carrier/cancellations", f"{key}:undo", shipment_key=key, reference=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert cancelled.state == "cancelled"
    assert list(control.iter_shipments(key)) == [cancelled]


def test_charges_and_shipments_have_keys_of_their_own(charge: Ask, ship: Ask, key: str) -> None:
    """The two services are different companies: the same key at both is no mismatch."""
    assert charge(key).status_code == ship(key).status_code == 201
