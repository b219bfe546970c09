"""Setting up gateways: from Django's settings, with helpful words, without secrets in sight."""

from __future__ import annotations

import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orders.gateways.errors import GatewayError, GatewayMisused, GatewayUnavailable, PaymentDeclined
from orders.gateways.ports import ChargeRequest, ShipmentRequest
from orders.gateways.service import ServiceConfig

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "localhost:80"}, "must look like http://host:port"),
        ({"url": "http://"}, "must look like http://host:port"),
        ({"url": "http://[::1"}, "must look like http://host:port"),
        ({"url": None}, "must look like http://host:port"),
        ({"token": ""}, "token must be set"),
        ({"token": "tökén"}, "token must be set"),
        ({"read_timeout": 0.0}, "positive numbers of seconds"),
        ({"connect_timeout": float("nan")}, "positive numbers of seconds"),
    ],
)
def test_a_wrong_configuration_is_told(change: dict[str, Any], told: str) -> None:
    """Values that cannot work are refused when the gateway is made, not at the first charge."""
    with pytest.raises(ValueError, match=told):
        ServiceConfig(**{"url": "http://localhost:80", "token": "t"} | change)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "SANDBOX_URL"),
        ({"SANDBOX_URL": "nonsense", "SANDBOX_TOKEN": "t"}, "http://host:port"),
        ({"SANDBOX_URL": "http://x", "SANDBOX_TOKEN": "t", "GATEWAY_TIMEOUT_SECONDS": "soon"}, "soon"),
    ],
)
def test_wrong_settings_are_improperly_configured(settings: dict[str, str], told: str) -> None:
    """The factory says which settings to check."""
    program = "from orders.gateways import payment_gateway; payment_gateway()"
    ended = _run(_configured(settings, program))

    assert ended.returncode == 1
    assert told in ended.stderr.splitlines()[-1]
    assert "ImproperlyConfigured: The gateways cannot be set up" in ended.stderr


def test_the_factory_gives_one_gateway_per_settings() -> None:
    """The same settings share connections; changed settings get a gateway of their own."""
    settings = {"SANDBOX_URL": "http://a", "SANDBOX_TOKEN": "t", "GATEWAY_TIMEOUT_SECONDS": 3}
    program = """
from django.test import override_settings
from orders.gateways import carrier, payment_gateway
first = payment_gateway()
assert payment_gateway() is first
assert carrier() is carrier()
with override_settings(SANDBOX_URL="http://b"):
    assert payment_gateway() is not first
assert payment_gateway() is first
"""
    ended = _run(_configured(settings, program))

    assert ended.returncode == 0, ended.stderr


def test_neither_sandbox_nor_gateways_need_django() -> None:
    """The sandbox stands outside: no Django in it; gateways touch it in their factory only."""
    ended = _run(
        "import sys, orders.gateways, orders.sandbox.app, orders.sandbox.client;"
        "sys.exit(any(name.partition('.')[0] == 'django' for name in sys.modules))"
    )

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "error",
    [
        GatewayUnavailable("gone", may_have_happened=True),
        GatewayUnavailable("gone", may_have_happened=False),
        PaymentDeclined("card_declined", "Your card was declined."),
        GatewayMisused(401, "unauthorized", "no token"),
    ],
)
def test_errors_travel_between_processes(error: GatewayError) -> None:
    """A worker pickles what a task raised: nothing that decides about compensation may be lost."""
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_secrets_and_addresses_stay_out_of_logs() -> None:
    """What is logged by accident shows neither token, card nor address."""
    charge = ChargeRequest("k", "o", Decimal(1), "EUR", "tok_secret")
    shipment = ShipmentRequest("k", "o", "secret", "secret", "secret", "secret", "DE")

    assert "secret" not in repr([ServiceConfig("http://x", "secret"), charge, shipment])


def _configured(settings: dict[str, Any], program: str) -> str:
    return f"from django.conf import settings; settings.configure(**{settings!r})\n{program}"


def _run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
