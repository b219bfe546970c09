"""The fault switches do what they say, repeatably, and are explained when misspelt."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from orders.sandbox.client import SandboxClient, SandboxError

Ask = Callable[..., httpx.Response]


def test_error_rate_is_near_its_value_and_repeats_with_its_seed(
    charge: Ask, control: SandboxClient, new_key: Callable[[], str]
) -> None:
    """About 30 % of 300 requests fail with 503, and the same seed brings the same series again."""
    series = []
    for _ in range(2):
        control.set_faults("payment", error_rate=0.3, seed=7)
        series.append([charge(new_key()).status_code for _ in range(300)])

    assert set(series[0]) == {201, 503}
    assert 60 <= series[0].count(503) <= 120
    assert series[0] == series[1]


def test_an_injected_error_does_not_act(
    charge: Ask, http: httpx.Client, control: SandboxClient, key: str
) -> None:
    """A 503 comes before acting: the ledger knows nothing, and the retry is the first to act."""
    control.set_faults("payment", error_rate=1)
    failed = charge(key)
    control.reset_faults()

    assert (failed.status_code, failed.json()["code"]) == (503, "injected_error")
    assert http.get(f"/payments/charges/{key}").status_code == 404
    assert charge(key).status_code == 201


def test_a_lost_response_acts_and_the_retry_finds_the_same_charge(
    charge: Ask, control: SandboxClient, key: str
) -> None:
    """The connection breaks without an answer, the charge exists, and the retry is told of that charge."""
    control.set_faults("payment", lost_response_rate=1)
    with pytest.raises(httpx.RemoteProtocolError):
        charge(key, reference=key)
    control.reset_faults()

    (acted,) = control.iter_charges(key)
    retried = charge(key, reference=key)
    assert (retried.status_code, retried.json()["id"]) == (200, acted.id)
    assert list(control.iter_charges(key)) == [acted]


def test_a_held_response_outlasts_the_client_and_has_acted(
    ship: Ask, http: httpx.Client, control: SandboxClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held longer than the client's patience: a time-out, although the shipment exists."""
    control.set_faults("shipping", lost_response_rate=1, lost_response_hold_ms=10_000)
    monkeypatch.setattr(http, "timeout", httpx.Timeout(0.3))
    with pytest.raises(httpx.ReadTimeout):
        ship(key, reference=key)

    assert [shipment.state for shipment in control.iter_shipments(key)] == ["created"]


def test_a_refusal_can_be_lost_too(charge: Ask, control: SandboxClient, key: str) -> None:
    """A decline whose answer was lost is recorded, and told on the retry."""
    control.set_faults("payment", lost_response_rate=1)
    with pytest.raises(httpx.RemoteProtocolError):
        charge(key, card="tok_declined")
    control.reset_faults()

    assert charge(key, card="tok_declined").json()["code"] == "card_declined"


def test_latency_delays_the_answer(charge: Ask, control: SandboxClient, key: str) -> None:
    """Every request takes at least the latency set."""
    control.set_faults("payment", latency_ms=150)
    begun = time.monotonic()

    assert charge(key).status_code == 201
    assert time.monotonic() - begun >= 0.15


def test_down_refuses_everything_of_that_service_only(
    charge: Ask, ship: Ask, http: httpx.Client, control: SandboxClient, key: str
) -> None:
    """Down is 503 at once for that service's every door; the other service, the ledger and health go on."""
    control.set_faults("payment", down=True)

    assert charge(key).json()["code"] == "service_down"
    assert http.get(f"/payments/charges/{key}").status_code == 503
    assert ship(key).status_code == 201
    assert list(control.iter_charges(key)) == []
    assert http.get("/healthz").status_code == 200


def test_decline_rate_is_decided_by_the_key_for_ever(
    charge: Ask, control: SandboxClient, new_key: Callable[[], str]
) -> None:
    """About half of the keys are declined; each key's answer stays, also after the switch is off."""
    keys = [new_key() for _ in range(200)]
    control.set_faults("payment", decline_rate=0.5)
    first = [charge(key).status_code for key in keys]
    control.reset_faults()

    assert set(first) == {201, 402}
    assert 60 <= first.count(402) <= 140
    assert [charge(key).status_code == 402 for key in keys] == [status == 402 for status in first]


def test_decline_rate_depends_on_nothing_but_the_key(
    charge: Ask, ship: Ask, control: SandboxClient, new_key: Callable[[], str]
) -> None:
    """No dice: the provider and the carrier, who know nothing of each other, decide alike."""
    for service in ("payment", "shipping"):
        control.set_faults(service, decline_rate=0.5)

    for key in [new_key() for _ in range(50)]:
        assert (charge(key).status_code == 402) == (ship(key).status_code == 422)


def test_decline_rate_does_not_touch_refunds(
    charge: Ask, post: Ask, control: SandboxClient, key: str
) -> None:
    """A compensation is never declined."""
    charge(key)
    control.set_faults("payment", decline_rate=1)

    refund = post("/payments/refunds", f"{key}:undo", charge_key=key, reference="order-1")
    assert refund.json()["status"] == "refunded"


def test_switches_not_named_are_off(control: SandboxClient) -> None:
    """PUT replaces: what is not named goes back to its default."""
    control.set_faults("payment", error_rate=0.5, down=True)
    now = control.set_faults("payment", latency_ms=5)

    assert now == control.faults()["payment"]
    assert {name for name, value in now.items() if value} == {"latency_ms"}


@pytest.mark.parametrize(
    ("switches", "told"),
    [
        ({"eror_rate": 0.5}, "eror_rate: unknown field; the fields are error_rate, latency_ms"),
        ({"error_rate": 1.5}, "error_rate: must be a number from 0 to 1"),
        ({"error_rate": True}, "error_rate: must be a number from 0 to 1"),
        ({"latency_ms": -1}, "latency_ms: must be a whole number of milliseconds"),
        ({"down": "yes"}, "down: must be true or false"),
        ({"seed": "x"}, "seed: must be a whole number"),
    ],
)
def test_wrong_switches_are_told(control: SandboxClient, switches: dict[str, Any], told: str) -> None:
    """A wrong switch is named, with what would be right, and nothing is switched."""
    with pytest.raises(SandboxError, match=told):
        control.set_faults("payment", **switches)

    assert not any(control.faults()["payment"].values())


def test_an_unknown_service_is_told(control: SandboxClient) -> None:
    """A misspelt service is answered with the names there are."""
    with pytest.raises(SandboxError, match="the services are payment, shipping"):
        control.set_faults("payments", down=True)
