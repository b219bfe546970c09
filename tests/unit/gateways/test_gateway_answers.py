"""What a gateway makes of answers that the sandbox never gives, from a real socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from orders.gateways.errors import GatewayMisused, GatewayUnavailable
from orders.gateways.ports import ChargeRequest
from orders.gateways.sandbox_payment import SandboxPaymentGateway
from orders.gateways.service import ServiceConfig

CHARGE = ChargeRequest(key="k", reference="o", amount=Decimal("1.00"), currency="EUR", card="tok_visa")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOT_A_NUMBER = b'{"id": "c", "status": "succeeded", "reference": "o", "amount": "NaN", "currency": "EUR"}'


class ScriptedServer(ThreadingHTTPServer):
    """Answers everything with ``status`` and ``body``, and keeps the headers it was sent."""

    status = 200
    body = b"{}"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[dict[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A running scripted server."""
    with ScriptedServer() as scripted:
        thread = Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


@pytest.fixture
def config(server: ScriptedServer) -> ServiceConfig:
    """How to reach the scripted server."""
    return ServiceConfig(f"http://127.0.0.1:{server.server_port}", "secret-token", 1.0, 0.3)


@pytest.fixture
def open_gateway() -> Iterator[Callable[[ServiceConfig], SandboxPaymentGateway]]:
    """Makes gateways and closes them after the test, before the server stops."""
    with ExitStack() as stack:

        def make(config: ServiceConfig) -> SandboxPaymentGateway:
            gateway = SandboxPaymentGateway(config)
            stack.callback(gateway.close)
            return gateway

        yield make


@pytest.fixture
def payments(
    config: ServiceConfig, open_gateway: Callable[[ServiceConfig], SandboxPaymentGateway]
) -> SandboxPaymentGateway:
    """A gateway of the scripted server."""
    return open_gateway(config)


@pytest.mark.parametrize(
    ("status", "may_have_happened"),
    [(503, False), (429, False), (408, True), (500, True), (502, True), (504, True), (599, True)],
)
def test_server_errors_are_retryable(
    server: ScriptedServer, payments: SandboxPaymentGateway, status: int, may_have_happened: bool
) -> None:
    """Busy and unavailable did not act; of every other server error nobody knows."""
    server.status, server.body = status, b"oops"
    with pytest.raises(GatewayUnavailable, match=f"HTTP {status}: oops") as failed:
        payments.charge(CHARGE)

    assert failed.value.may_have_happened is may_have_happened


@pytest.mark.parametrize("status", [301, 400, 403, 404, 405, 409, 418, 422])
def test_other_refusals_are_our_mistake(
    server: ScriptedServer, payments: SandboxPaymentGateway, status: int
) -> None:
    """A status that says neither done, declined nor unavailable is a bug or a wrong setting."""
    server.status, server.body = status, b"<html>"
    with pytest.raises(GatewayMisused) as misused:
        payments.charge(CHARGE)

    assert misused.value.status == status


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"id": "c", "status": "odd"}', b"\xff", NOT_A_NUMBER]
)
def test_a_success_that_makes_no_sense_may_have_happened(
    server: ScriptedServer, payments: SandboxPaymentGateway, body: bytes
) -> None:
    """A 2xx without the agreed content acted, but did not say what it did: ask again."""
    server.body = body
    with pytest.raises(GatewayUnavailable) as failed:
        payments.charge(CHARGE)

    assert failed.value.may_have_happened is True


def test_a_wrong_path_is_not_an_unknown_charge(
    server: ScriptedServer, payments: SandboxPaymentGateway
) -> None:
    """Only the service's own `not_found` says that there is no such charge; any other 404 is a wrong URL."""
    server.status, server.body = 404, b'{"code": "not_found"}'
    assert payments.find("k") is None

    server.body = b"no such page"
    with pytest.raises(GatewayMisused):
        payments.find("k")


def test_a_connection_that_never_came_about_did_not_happen(
    config: ServiceConfig, open_gateway: Callable[[ServiceConfig], SandboxPaymentGateway]
) -> None:
    """A connect time-out, from a listener whose queue is full: nothing was sent, so nothing happened."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        payments = open_gateway(replace(config, url=f"http://127.0.0.1:{full.getsockname()[1]}"))
        with pytest.raises(GatewayUnavailable, match="timed out") as failed:
            payments.charge(CHARGE)

    assert failed.value.may_have_happened is False


def test_silence_may_have_happened(
    config: ServiceConfig, open_gateway: Callable[[ServiceConfig], SandboxPaymentGateway]
) -> None:
    """A read time-out: the request went out, nobody knows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        payments = open_gateway(replace(config, url=url, read_timeout=0.1))
        with pytest.raises(GatewayUnavailable) as failed:
            payments.charge(CHARGE)

    assert failed.value.may_have_happened is True


@pytest.mark.parametrize(
    "request_",
    [replace(CHARGE, key="a\nb"), replace(CHARGE, key="kéy"), replace(CHARGE, reference="\ud800")],
    ids=["key with a line break", "key beyond ASCII", "lone surrogate"],
)
def test_what_cannot_be_sent_is_our_mistake(
    server: ScriptedServer, payments: SandboxPaymentGateway, request_: ChargeRequest
) -> None:
    """A key or text that HTTP cannot carry is a bug, told before anything is sent."""
    with pytest.raises(GatewayMisused, match="not_sendable"):
        payments.charge(request_)

    assert server.seen == []


def test_headers(server: ScriptedServer, payments: SandboxPaymentGateway) -> None:
    """Token and quoted key go with every request; the trace context when there is one."""
    for trace in (TRACEPARENT, None):
        with pytest.raises(GatewayUnavailable):
            payments.charge(CHARGE, traceparent=trace)

    assert [seen.get("traceparent") for seen in server.seen] == [TRACEPARENT, None]
    assert {seen["authorization"] for seen in server.seen} == {"Bearer secret-token"}
    assert {seen["idempotency-key"] for seen in server.seen} == {'"k"'}


def test_proxies_of_the_environment_are_not_used(
    server: ScriptedServer, payments: SandboxPaymentGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour is reached directly, whatever proxy the machine has for the outside."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.status, server.body = 404, b'{"code": "not_found"}'

    assert payments.find("k") is None
