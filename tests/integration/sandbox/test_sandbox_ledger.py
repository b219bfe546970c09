"""The ledger: complete, paged, and behind a token."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import httpx
import pytest

from orders.sandbox import client as sandbox_client
from orders.sandbox.client import SandboxClient
from orders.sandbox.testing import SandboxServer

Ask = Callable[..., httpx.Response]
PATHS = [
    "/ledger/charges",
    "/ledger/shipments",
    "/faults",
    "/payments/charges/k",
    "/carrier/shipments/k",
    "/x",
]


def test_iteration_crosses_pages_without_loss(
    charge: Ask, control: SandboxClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven charges in pages of three: each comes once, in the order it was recorded, with its amount."""
    monkeypatch.setattr(sandbox_client, "PAGE_SIZE", 3)
    for number in range(7):
        charge(f"{key}-{number}", reference=key, amount=f"{number + 1}.5")

    charges = list(control.iter_charges(key))
    assert [charge.key for charge in charges] == [f"{key}-{number}" for number in range(7)]
    assert [charge.amount for charge in charges] == [Decimal(f"{number + 1}.50") for number in range(7)]
    assert {charge.reference for charge in charges} == {key}
    assert all(charge.created_at.tzinfo is not None for charge in charges)


def test_the_ledger_tells_every_state(
    charge: Ask, post: Ask, control: SandboxClient, new_key: Callable[[], str]
) -> None:
    """Succeeded, declined, refunded and voided charges are all listed, with what belongs to each."""
    reference, keys = new_key(), [new_key() for _ in range(4)]
    charge(keys[0], reference=reference)
    charge(keys[1], reference=reference, card="tok_expired")
    charge(keys[2], reference=reference)
    for undone in keys[2:]:
        post("/payments/refunds", f"{undone}:undo", charge_key=undone, reference=reference)

    charges = list(control.iter_charges(reference))
    assert [charge.state for charge in charges] == ["succeeded", "declined", "refunded", "voided"]
    assert [charge.code for charge in charges] == [None, "card_expired", None, None]
    assert [charge.refunded_at is not None for charge in charges] == [False, False, True, False]
    assert [charge.amount for charge in charges] == [Decimal("12.50")] * 3 + [None]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=-1", "page=2", "reference="])
def test_bad_paging_is_told(http: httpx.Client, query: str) -> None:
    """A wrong query parameter is named."""
    answer = http.get(f"/ledger/charges?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}])
def test_the_token_is_required(sandbox: SandboxServer, path: str, header: dict[str, str]) -> None:
    """No door but /healthz opens without the token, not even one that does not exist."""
    answer = httpx.get(sandbox.url + path, headers=header, trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
