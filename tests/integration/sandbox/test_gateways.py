"""Our gateways against the real sandbox: every class of error from its real cause."""

from __future__ import annotations

import multiprocessing
import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from orders.gateways.errors import (
    GatewayMisused,
    GatewayRefused,
    GatewayUnavailable,
    PaymentDeclined,
    ShipmentRefused,
)
from orders.gateways.ports import (
    CancellationRequest,
    ChargeRequest,
    ChargeState,
    RefundRequest,
    ShipmentRequest,
    ShipmentState,
)
from orders.gateways.sandbox_carrier import SandboxCarrier
from orders.gateways.sandbox_payment import SandboxPaymentGateway
from orders.gateways.service import ServiceConfig
from orders.sandbox.client import SandboxClient
from orders.sandbox.testing import SandboxServer


@pytest.fixture
def config(sandbox: SandboxServer) -> ServiceConfig:
    """How to reach the shared sandbox, with little patience."""
    return ServiceConfig(sandbox.url, sandbox.token, read_timeout=2.0, connect_timeout=1.0)


@pytest.fixture
def open_gateway() -> Iterator[Callable[[ServiceConfig], SandboxPaymentGateway]]:
    """Makes payment gateways and closes them after the test."""
    opened = []

    def make(config: ServiceConfig) -> SandboxPaymentGateway:
        opened.append(SandboxPaymentGateway(config))
        return opened[-1]

    yield make
    for gateway in opened:
        gateway.close()


@pytest.fixture
def payments(
    config: ServiceConfig, open_gateway: Callable[[ServiceConfig], SandboxPaymentGateway]
) -> SandboxPaymentGateway:
    """The payment gateway on the shared sandbox."""
    return open_gateway(config)


@pytest.fixture
def carrier(config: ServiceConfig) -> Iterator[SandboxCarrier]:
    """The carrier on the shared sandbox."""
    gateway = SandboxCarrier(config)
    yield gateway
    gateway.close()


@pytest.fixture
def charge(key: str) -> ChargeRequest:
    """A charge that will succeed."""
    return ChargeRequest(key=key, reference=key, amount=Decimal("12.50"), currency="EUR", card="tok_visa")


@pytest.fixture
def shipment(key: str) -> ShipmentRequest:
    """A shipment that will be accepted."""
    return ShipmentRequest(key, key, "Ada", "Hauptstr. 1", "10115", "Berlin", "DE")


def test_charge_refund_and_find(payments: SandboxPaymentGateway, charge: ChargeRequest) -> None:
    """A charge and its refund are found in their present state, money as Decimal; repeats change nothing."""
    assert payments.find(charge.key) is None
    charged = payments.charge(charge)
    assert (charged.state, charged.amount, charged.currency) == (
        ChargeState.SUCCEEDED,
        Decimal("12.50"),
        "EUR",
    )
    assert payments.charge(charge) == payments.find(charge.key) == charged

    refund = RefundRequest(f"{charge.key}:undo", charge.reference, charge.key)
    assert payments.refund(refund).refunded
    assert payments.refund(refund) == payments.refund(refund)
    assert payments.find(charge.key) == replace(charged, state=ChargeState.REFUNDED)


def test_ship_cancel_and_find(carrier: SandboxCarrier, shipment: ShipmentRequest) -> None:
    """A shipment and its cancellation are found in their present state; repeats change nothing."""
    assert carrier.find(shipment.key) is None
    created = carrier.create_shipment(shipment)
    assert created.state is ShipmentState.CREATED
    assert created.tracking_number
    assert carrier.create_shipment(shipment) == carrier.find(shipment.key) == created

    cancellation = CancellationRequest(f"{shipment.key}:undo", shipment.reference, shipment.key)
    assert carrier.cancel_shipment(cancellation).cancelled
    assert carrier.find(shipment.key) == replace(created, state=ShipmentState.CANCELLED)


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired", "card_expired"),
    ],
)
def test_a_declined_card_is_payment_declined(
    payments: SandboxPaymentGateway, charge: ChargeRequest, card: str, code: str
) -> None:
    """A decline is terminal, with a code for us and a message for the customer."""
    with pytest.raises(PaymentDeclined) as declined:
        payments.charge(replace(charge, card=card))

    assert declined.value.code == code
    assert "Your card" in declined.value.message


@pytest.mark.parametrize("change", [{"postcode": "00999"}, {"country": "XX"}])
def test_a_refused_address_is_shipment_refused(
    carrier: SandboxCarrier, shipment: ShipmentRequest, change: dict[str, str]
) -> None:
    """A refusal is terminal, with a code for us and a message for the customer."""
    with pytest.raises(ShipmentRefused) as refused:
        carrier.create_shipment(replace(shipment, **change))

    assert refused.value.code == "address_refused"
    assert refused.value.message == "We cannot deliver to this address."


def test_a_late_charge_after_its_refund_is_refused(
    payments: SandboxPaymentGateway, charge: ChargeRequest
) -> None:
    """A zombie's charge is refused for good, and not as the customer's fault."""
    refund = payments.refund(RefundRequest(f"{charge.key}:undo", charge.reference, charge.key))
    with pytest.raises(GatewayRefused) as refused:
        payments.charge(charge)

    assert not refund.refunded
    assert (refused.value.code, type(refused.value)) == ("voided", GatewayRefused)
    found = payments.find(charge.key)
    assert found is not None
    assert (found.state, found.amount) == (ChargeState.VOIDED, None)


def test_a_late_shipment_after_its_cancellation_is_refused(
    carrier: SandboxCarrier, shipment: ShipmentRequest
) -> None:
    """A zombie's shipment is refused for good."""
    cancellation = CancellationRequest(f"{shipment.key}:undo", shipment.reference, shipment.key)
    assert not carrier.cancel_shipment(cancellation).cancelled
    with pytest.raises(GatewayRefused, match="voided"):
        carrier.create_shipment(shipment)


def test_nobody_listening_did_not_happen(
    config: ServiceConfig,
    open_gateway: Callable[[ServiceConfig], SandboxPaymentGateway],
    charge: ChargeRequest,
) -> None:
    """A refused connection is retryable, and surely nothing happened."""
    with socket.socket() as unheard:  # bound but not listening: the port is ours, and refuses
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(GatewayUnavailable) as failed:
            open_gateway(replace(config, url=f"http://127.0.0.1:{port}")).charge(charge)

    assert failed.value.may_have_happened is False


@pytest.mark.parametrize("switch", [{"down": True}, {"error_rate": 1.0}])
def test_unavailable_did_not_happen(
    payments: SandboxPaymentGateway, control: SandboxClient, charge: ChargeRequest, switch: dict[str, float]
) -> None:
    """A 503 is retryable, and surely nothing happened."""
    control.set_faults("payment", **switch)
    with pytest.raises(GatewayUnavailable) as failed:
        payments.charge(charge)

    assert failed.value.may_have_happened is False
    assert list(control.iter_charges(charge.reference)) == []


@pytest.mark.parametrize("hold_ms", [0, 10_000], ids=["broken connection", "time-out"])
def test_a_lost_answer_may_have_happened(
    config: ServiceConfig,
    open_gateway: Callable[[ServiceConfig], SandboxPaymentGateway],
    control: SandboxClient,
    charge: ChargeRequest,
    hold_ms: int,
) -> None:
    """A lost answer is retryable with an unknown outcome; here it did happen, and the retry says so once."""
    payments = open_gateway(replace(config, read_timeout=0.3))
    control.set_faults("payment", lost_response_rate=1, lost_response_hold_ms=hold_ms)
    with pytest.raises(GatewayUnavailable) as failed:
        payments.charge(charge)
    control.reset_faults()

    assert failed.value.may_have_happened is True
    (acted,) = control.iter_charges(charge.reference)
    assert payments.charge(charge).id == acted.id


def test_a_wrong_token_is_our_mistake(
    config: ServiceConfig,
    open_gateway: Callable[[ServiceConfig], SandboxPaymentGateway],
    charge: ChargeRequest,
) -> None:
    """A setting that is wrong will not get better by retrying, and is not the customer's business."""
    with pytest.raises(GatewayMisused) as misused:
        open_gateway(replace(config, token="wrong")).charge(charge)

    assert (misused.value.status, misused.value.code) == (401, "unauthorized")


def test_another_body_with_a_used_key_is_our_mistake(
    payments: SandboxPaymentGateway, charge: ChargeRequest
) -> None:
    """Reusing a key for something else is a bug."""
    payments.charge(charge)
    with pytest.raises(GatewayMisused, match="idempotency_mismatch"):
        payments.charge(replace(charge, amount=Decimal("13.00")))


def test_an_impossible_amount_is_our_mistake(payments: SandboxPaymentGateway, charge: ChargeRequest) -> None:
    """A tenth of a cent is a bug, and the error names the field."""
    with pytest.raises(GatewayMisused, match="amount"):
        payments.charge(replace(charge, amount=Decimal("1.001")))


def test_threads_may_share_a_gateway(payments: SandboxPaymentGateway, charge: ChargeRequest) -> None:
    """200 charges from 8 threads through one gateway: every answer belongs to its question."""
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda number: _answers_itself(payments, charge, number), range(200)))


def test_forked_processes_do_not_share_connections(
    payments: SandboxPaymentGateway, charge: ChargeRequest
) -> None:
    """A gateway used before a fork, as in a prefork worker: all get their own answers only."""
    payments.charge(charge)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_charge_many, args=(payments, charge, child)) for child in range(3)]
    for child in children:
        child.start()
    _charge_many(payments, charge, len(children))
    for child in children:
        child.join(20)

    assert [child.exitcode for child in children] == [0, 0, 0]


def _charge_many(payments: SandboxPaymentGateway, charge: ChargeRequest, child: int) -> None:
    assert all(_answers_itself(payments, charge, f"{child}-{number}") for number in range(40))


def _answers_itself(payments: SandboxPaymentGateway, charge: ChargeRequest, name: object) -> bool:
    mine = f"{charge.key}-{name}-{uuid.uuid4()}"
    return payments.charge(replace(charge, key=mine, reference=mine)).reference == mine
