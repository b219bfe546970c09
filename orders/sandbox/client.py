"""A client for the sandbox's fault switches and ledger: for the demo, the audit and the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import httpx

PAGE_SIZE = 500  # rows per request


class SandboxError(Exception):
    """The sandbox did not do what it was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class LedgerCharge:
    """A charge in the provider's ledger. ``state``: succeeded, declined, refunded, or voided (no amount)."""

    key: str
    id: str
    reference: str
    amount: Decimal | None
    currency: str | None
    state: str
    code: str | None
    created_at: datetime
    refunded_at: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerShipment:
    """A shipment in the carrier's ledger. ``state``: created, refused, cancelled or voided."""

    key: str
    id: str
    reference: str
    tracking_number: str | None
    state: str
    code: str | None
    created_at: datetime
    cancelled_at: datetime | None


class SandboxClient:
    """Talks to a sandbox at ``url`` with its ``token``; use it as a context manager, or close it.

    Every method raises SandboxError when the sandbox is out of reach or refuses.
    """

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 10.0) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_seconds,
            trust_env=False,  # a neighbour: never through a proxy
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def faults(self) -> dict[str, dict[str, Any]]:
        """All fault switches, by service."""
        return self._ask("GET", "/faults")

    def set_faults(self, service: str, **switches: float | bool | None) -> dict[str, Any]:
        """Replace the switches of ``service`` (payment or shipping); those not named are off. Returns them
        all.

        The switches: error_rate, latency_ms, lost_response_rate, lost_response_hold_ms, decline_rate, down,
        seed.
        """
        return self._ask("PUT", f"/faults/{service}", json=switches)

    def reset_faults(self) -> None:
        """Both services behave again."""
        self._ask("DELETE", "/faults")

    def iter_charges(self, reference: str | None = None) -> Iterator[LedgerCharge]:
        """Every charge in the order it was recorded, or those of one order; fetched page by page as it goes.

        Charges recorded meanwhile come at the end; a state may change after its page was read.
        """
        return map(_charge, self._pages("/ledger/charges", reference))

    def iter_shipments(self, reference: str | None = None) -> Iterator[LedgerShipment]:
        """Every shipment in the order it was recorded, or those of one order; as ``iter_charges``."""
        return map(_shipment, self._pages("/ledger/shipments", reference))

    def _pages(self, path: str, reference: str | None) -> Iterator[Mapping[str, Any]]:
        query = {"limit": str(PAGE_SIZE)} | ({"reference": reference} if reference is not None else {})
        while True:
            page = self._ask("GET", path, params=query)
            yield from page["items"]
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **content)
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            told = str(error) or type(error).__name__
            raise SandboxError(f"The sandbox at {self._http.base_url} gave no answer: {told}") from error
        if not response.is_success:
            raise SandboxError(f"The sandbox refused {method} {path}: {body.get('detail', body)}")
        answer: dict[str, Any] = body
        return answer


def _charge(item: Mapping[str, Any]) -> LedgerCharge:
    return LedgerCharge(
        key=item["key"],
        id=item["id"],
        reference=item["reference"],
        amount=None if item["amount"] is None else Decimal(item["amount"]),
        currency=item["currency"],
        state=item["state"],
        code=item["code"],
        created_at=datetime.fromisoformat(item["created_at"]),
        refunded_at=_time(item["refunded_at"]),
    )


def _shipment(item: Mapping[str, Any]) -> LedgerShipment:
    return LedgerShipment(
        key=item["key"],
        id=item["id"],
        reference=item["reference"],
        tracking_number=item["tracking_number"],
        state=item["state"],
        code=item["code"],
        created_at=datetime.fromisoformat(item["created_at"]),
        cancelled_at=_time(item["cancelled_at"]),
    )


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
