"""The real sandbox for tests: granian, real HTTP, a real SQLite file, a process that can be killed."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orders.sandbox.client import SandboxClient

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 20.0


class SandboxServer:
    """A sandbox process on a free port, with a ledger file that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(8)
        self.database = folder / "ledger.db"
        self.log = folder / "log"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when it answers."""
        environ = os.environ | {"SANDBOX_DB": str(self.database), "SANDBOX_TOKEN": self.token}
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "orders.sandbox.app:app"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_healthy(self._process)

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def kill(self, *, parent_only: bool = False) -> None:
        """SIGKILL the server and its worker, or the server alone."""
        assert self._process is not None
        if parent_only:
            self._process.kill()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(START_SECONDS)
        self._process = None

    def http(self, **options: Any) -> httpx.Client:
        """A bare client with the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, **options)

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/healthz", trust_env=False, timeout=1).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)  # nothing tells a client that a port will open: ask again
        raise AssertionError(f"the sandbox did not start: {self.log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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


@pytest.fixture
def control(shared_sandbox: SandboxServer) -> Iterator[SandboxClient]:
    """The shared sandbox's fault switches and ledger."""
    with SandboxClient(shared_sandbox.url, shared_sandbox.token) as client:
        client.reset_faults()
        yield client
        client.reset_faults()


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[SandboxServer]:
    """A sandbox of the test's own, started, with an empty ledger."""
    server = SandboxServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def http(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """A bare HTTP client of the shared sandbox."""
    with sandbox.http() as client:
        yield client


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
