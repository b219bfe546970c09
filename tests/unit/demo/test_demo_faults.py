"""Faults are switched on in the real sandbox, and off again whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orders.sandbox.client import SandboxClient, SandboxError
from orders.sandbox.testing import SandboxServer
from project.demo.errors import Stopped
from project.demo.faults import Fault, FaultInjection
from tests.harness.waiting import wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    made = SandboxServer(tmp_path_factory.mktemp("sandbox"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def sandbox(server: SandboxServer) -> Iterator[SandboxClient]:
    with SandboxClient(server.url, server.token) as client:
        client.reset_faults()
        yield client


def active(sandbox: SandboxClient) -> dict[str, dict[str, Any]]:
    """The switches that are on, by service."""
    return {
        service: {name: value for name, value in switches.items() if value}
        for service, switches in sandbox.faults().items()
    }


def test_faults_last_as_long_as_the_block(sandbox: SandboxClient) -> None:
    """All faults of a service are on together, with the seed; at the end none is."""
    faults = [Fault.parse("payment=0.5"), Fault.parse("payment=20ms:latency")]
    with FaultInjection(sandbox, faults, 7, pytest.fail):
        assert active(sandbox) == {
            "payment": {"error_rate": 0.5, "latency_ms": 20, "seed": 7},
            "shipping": {},
        }
    assert active(sandbox) == {"payment": {}, "shipping": {}}


def test_faults_end_with_ctrl_c(sandbox: SandboxClient) -> None:
    """A signal in the middle leaves no switch on."""
    with pytest.raises(Stopped), FaultInjection(sandbox, [Fault.parse("shipping=1")], None, pytest.fail):
        raise Stopped(2)
    assert active(sandbox)["shipping"] == {}


def test_down_ends_after_its_time(sandbox: SandboxClient) -> None:
    """A service that is down comes up when its time is over; its other faults stay."""
    faults = [Fault.parse("payment=200ms:down"), Fault.parse("payment=0.1")]
    with FaultInjection(sandbox, faults, None, pytest.fail) as injection:
        injection.lift_due()
        assert active(sandbox)["payment"] == {"down": True, "error_rate": 0.1}

        def is_up() -> bool:
            injection.lift_due()
            return active(sandbox)["payment"] == {"error_rate": 0.1}

        wait_until(is_up, "payment to come up")


def test_faults_of_others_are_told_and_left(sandbox: SandboxClient) -> None:
    """Switches that somebody else has set explain results; they are named, and not touched."""
    sandbox.set_faults("shipping", latency_ms=5)
    told: list[str] = []
    with FaultInjection(sandbox, [Fault.parse("payment=0.5")], None, told.append):
        pass
    assert told == ["Fault switches of shipping are on since before, and stay so: latency_ms."]
    assert active(sandbox) == {"payment": {}, "shipping": {"latency_ms": 5}}


def test_a_sandbox_that_is_away(tmp_path: Path) -> None:
    """At the beginning it is an error; at the end a warning, so that the reason of the end is not hidden."""
    server = SandboxServer(tmp_path)
    told: list[str] = []
    with SandboxClient(server.url, server.token) as client:
        injection = FaultInjection(client, [Fault.parse("payment=0.5")], None, told.append)
        with pytest.raises(SandboxError):
            injection.__enter__()
        server.start()
        with pytest.raises(Stopped), injection:
            server.kill()
            raise Stopped(2)
    assert len(told) == 1
    assert told[0].startswith("The fault switches of payment may still be on.")
