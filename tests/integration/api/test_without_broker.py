"""Taking an order needs the database and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from orders.models import Order
from tests.harness import shop
from tests.integration.api.conftest import api_of
from tests.servers import SERVERS

QUICKLY = 1.0
"""Seconds; far below the broker's time-outs of 3 and 5 seconds."""


@pytest.fixture(params=["stopped", "hanging"])
def bad_broker(request: pytest.FixtureRequest) -> Iterator[None]:
    """A broker that refuses connections, or one that accepts them and never answers."""
    valkey = SERVERS.valkey
    hurt, heal = (valkey.stop, valkey.start) if request.param == "stopped" else (valkey.freeze, valkey.thaw)
    hurt()
    yield
    heal()


@pytest.mark.django_db(transaction=True)
def test_an_order_is_accepted_at_once_while_the_broker_is_away(
    transactional_db: None, settings: Settings, bad_broker: None
) -> None:
    """With the wake-up on, as in production: it never delays or fails the request that committed."""
    settings.OUTBOX = {**settings.OUTBOX, "WAKE_UP": ("task",)}
    shop.product("TEA")
    api = api_of("ada")
    api.place()  # the first request of a process loads what later ones have

    started = time.monotonic()
    response = api.place()

    assert response.status_code == 202
    assert time.monotonic() - started < QUICKLY
    assert Order.objects.count() == 2
