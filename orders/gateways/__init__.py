"""The shop's doors to the outside: a payment provider and a carrier.

``payment_gateway()`` and ``carrier()`` are the only places that know which implementation is in use: a real
provider is one more file beside ``sandbox_payment`` and one changed line here.
"""

from __future__ import annotations

from functools import cache

from orders.gateways.ports import Carrier, PaymentGateway
from orders.gateways.sandbox_carrier import SandboxCarrier
from orders.gateways.sandbox_payment import SandboxPaymentGateway
from orders.gateways.service import ServiceConfig

__all__ = ["Carrier", "PaymentGateway", "carrier", "payment_gateway"]

DEFAULT_READ_TIMEOUT_SECONDS = 5.0
MAX_CONNECT_TIMEOUT_SECONDS = 2.0  # a healthy service accepts in milliseconds


def payment_gateway() -> PaymentGateway:
    """The configured payment provider; the same object for the same settings."""
    return _payment_gateway(_config_from_settings())


def carrier() -> Carrier:
    """The configured carrier; the same object for the same settings."""
    return _carrier(_config_from_settings())


def _config_from_settings() -> ServiceConfig:
    """Read the settings ``SANDBOX_URL`` and ``SANDBOX_TOKEN``. Raises ImproperlyConfigured.

    Optional: ``GATEWAY_TIMEOUT_SECONDS`` (for an answer) and ``GATEWAY_CONNECT_TIMEOUT_SECONDS``.
    """
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        read = float(getattr(settings, "GATEWAY_TIMEOUT_SECONDS", DEFAULT_READ_TIMEOUT_SECONDS))
        connect = getattr(settings, "GATEWAY_CONNECT_TIMEOUT_SECONDS", min(read, MAX_CONNECT_TIMEOUT_SECONDS))
        return ServiceConfig(settings.SANDBOX_URL, settings.SANDBOX_TOKEN, read, float(connect))
    except (AttributeError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(
            f"The gateways cannot be set up: {error}. Check the settings SANDBOX_URL, SANDBOX_TOKEN,"
            " GATEWAY_TIMEOUT_SECONDS and GATEWAY_CONNECT_TIMEOUT_SECONDS."
        ) from error


@cache
def _payment_gateway(config: ServiceConfig) -> PaymentGateway:
    return SandboxPaymentGateway(config)


@cache
def _carrier(config: ServiceConfig) -> Carrier:
    return SandboxCarrier(config)
