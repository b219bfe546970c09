"""The real sandbox for tests: granian, real HTTP, a real SQLite file, a process that can be killed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orders.sandbox.client import SandboxClient
from orders.sandbox.testing import SandboxServer


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """One sandbox for all tests that neither kill it nor count all of its ledger."""
    server = SandboxServer(tmp_path_factory.mktemp("sandbox"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sandbox(shared_sandbox: SandboxServer, control: SandboxClient) -> SandboxServer:
    """The shared sandbox, behaving well at the start and the end of the test."""
    return shared_sandbox


@pytest.fixture(scope="session")
def shared_control(shared_sandbox: SandboxServer) -> Iterator[SandboxClient]:
    """One operator's client for all tests."""
    with SandboxClient(shared_sandbox.url, shared_sandbox.token) as client:
        yield client


@pytest.fixture
def control(shared_control: SandboxClient) -> Iterator[SandboxClient]:
    """The shared sandbox's fault switches and ledger."""
    shared_control.reset_faults()
    yield shared_control
    shared_control.reset_faults()


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[SandboxServer]:
    """A sandbox of the test's own, started, with an empty ledger."""
    server = SandboxServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_http(shared_sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """One bare HTTP client for all tests."""
    with shared_sandbox.http() as client:
        yield client


@pytest.fixture
def http(sandbox: SandboxServer, shared_http: httpx.Client) -> httpx.Client:
    """A bare HTTP client of the shared sandbox, which behaves well at the start and the end of the test."""
    return shared_http


@pytest.fixture
def post(http: httpx.Client) -> Callable[..., httpx.Response]:
    """``post(path, key, **body)`` to the shared sandbox."""

    def send(path: str, key: str, **body: Any) -> httpx.Response:
        return http.post(path, headers={"Idempotency-Key": key}, json=body)

    return send


@pytest.fixture
def charge(post: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    """``charge(key, **changes)``: ask the shared sandbox for a charge."""

    def send(key: str, **changes: Any) -> httpx.Response:
        body = {"amount": "12.50", "currency": "EUR", "card": "tok_visa", "reference": "order-1"}
        return post("/payments/charges", key, **body | changes)

    return send


@pytest.fixture
def ship(post: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    """``ship(key, **changes)``: ask the shared sandbox for a shipment."""

    def send(key: str, **changes: Any) -> httpx.Response:
        address = {"recipient": "Ada", "address": "Hauptstr. 1", "postcode": "10115", "city": "Berlin"}
        body = {"reference": "order-1", **address, "country": "DE"}
        return post("/carrier/shipments", key, **body | changes)

    return send


@pytest.fixture
def new_key() -> Callable[[], str]:
    """Makes idempotency keys nobody has used, in the form the shop uses."""
    return lambda: f"{uuid.uuid4()}:payment:action"


@pytest.fixture
def key(new_key: Callable[[], str]) -> str:
    """An idempotency key nobody has used."""
    return new_key()
