"""The process: answers survive its death, it has one ledger, and it says what keeps it from starting."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from orders.sandbox.client import SandboxClient
from orders.sandbox.testing import SandboxServer

CLIENTS = 4
ANSWERS_BEFORE_THE_KILL = 50  # per client


def test_every_answered_charge_survives_sigkill(own_sandbox: SandboxServer) -> None:
    """Killed under load, the ledger has every charge that was answered, once each, and takes new ones."""
    barrier = Barrier(CLIENTS + 1)
    with ThreadPoolExecutor(CLIENTS) as pool:
        runs = [
            pool.submit(_charge_until_broken, own_sandbox, f"client-{n}", barrier) for n in range(CLIENTS)
        ]
        barrier.wait(timeout=20)
        own_sandbox.kill()
        answered = {key for run in runs for key in run.result()}
    own_sandbox.start()

    with SandboxClient(own_sandbox.url, own_sandbox.token) as control:
        recorded = [charge.key for charge in control.iter_charges()]
    assert len(answered) >= CLIENTS * ANSWERS_BEFORE_THE_KILL
    assert len(recorded) == len(set(recorded))
    assert answered <= set(recorded)
    with own_sandbox.http() as http:
        key = next(iter(answered))
        assert _charge(http, key).status_code == 200
        assert _charge(http, "after").status_code == 201


def test_a_killed_server_takes_its_worker_along(own_sandbox: SandboxServer) -> None:
    """A worker whose server was killed lets go of port and ledger, so that the next one starts at once."""
    own_sandbox.kill(parent_only=True)
    _wait_until_nobody_answers(own_sandbox.url)
    own_sandbox.start()

    with own_sandbox.http() as http:
        assert _charge(http, "k").status_code == 201


def test_faults_survive_a_restart(own_sandbox: SandboxServer) -> None:
    """An experiment goes on after the sandbox was killed, and the log says that faults are on."""
    with SandboxClient(own_sandbox.url, own_sandbox.token) as control:
        control.set_faults("payment", error_rate=0.5, seed=3)
        before = control.faults()
    own_sandbox.kill()
    own_sandbox.start()

    with SandboxClient(own_sandbox.url, own_sandbox.token) as control:
        assert control.faults() == before
    assert "fault switches are on for payment" in own_sandbox.log.read_text()


def test_the_ledger_is_private_and_owned_by_one_process(own_sandbox: SandboxServer) -> None:
    """Nobody else may read the addresses in it, and a second sandbox on the same file says why it stops."""
    assert stat.S_IMODE(own_sandbox.database.stat().st_mode) == 0o600

    code, told = _start(SANDBOX_DB=str(own_sandbox.database), SANDBOX_TOKEN="t")
    assert code != 0
    assert "Another sandbox is using it" in told


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"SANDBOX_TOKEN": "t"}, "SANDBOX_DB is not set"),
        ({"SANDBOX_TOKEN": "t", "SANDBOX_DB": ":memory:"}, "must survive a restart"),
        ({"SANDBOX_TOKEN": "t", "SANDBOX_DB": "/no/such/folder/l.db"}, "does not exist. Create it first"),
        ({"SANDBOX_TOKEN": "t", "SANDBOX_DB": __file__}, "it must name a writable file"),
        ({"SANDBOX_DB": "ledger.db"}, "SANDBOX_TOKEN is not set"),
    ],
)
def test_it_refuses_to_start_with_advice(environ: dict[str, str], told: str) -> None:
    """A wrong environment ends the server with a failure and one clear line, without a traceback."""
    code, output = _start(**environ)

    assert code != 0
    assert told in output
    assert "Traceback" not in output


def _charge(http: httpx.Client, key: str) -> httpx.Response:
    body = {"amount": "1.00", "currency": "EUR", "card": "tok_visa", "reference": key}
    return http.post("/payments/charges", headers={"Idempotency-Key": key}, json=body)


def _charge_until_broken(server: SandboxServer, name: str, barrier: Barrier) -> list[str]:
    answered: list[str] = []
    with server.http() as http:
        for number in count():
            key = f"{name}-{number}"
            try:
                _charge(http, key).raise_for_status()
            except httpx.TransportError:
                return answered
            answered.append(key)
            if number + 1 == ANSWERS_BEFORE_THE_KILL:
                barrier.wait(timeout=20)
    return answered


def _wait_until_nobody_answers(url: str) -> None:
    deadline = time.monotonic() + 5
    with httpx.Client(base_url=url, trust_env=False) as http:
        while time.monotonic() < deadline:
            try:
                http.get("/healthz", headers={"Connection": "close"})
            except httpx.TransportError:
                return
    raise AssertionError(f"somebody still answers at {url}")


def _start(**environ: str) -> tuple[int, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asgi",
        "orders.sandbox.app:app",
        "--port",
        "0",
    ]
    ended = subprocess.run(
        command,
        env=clean | environ,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr
