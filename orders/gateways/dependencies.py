"""The outside services as the saga's engine knows them: what says that one is away, and how hard it may be used.

A provider's limits belong here: ``Dependency("payment", away=…, concurrency=20, per_second=50)``.
"""

from __future__ import annotations

from orders.gateways.errors import GatewayUnavailable
from outbox.saga.api import Dependency

PAYMENT = Dependency("payment", away=(GatewayUnavailable,))
CARRIER = Dependency("shipping", away=(GatewayUnavailable,))
