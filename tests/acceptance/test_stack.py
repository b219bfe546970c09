"""The whole stack as ``script/server`` starts it: one command up, everything answers, one signal down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from project.stack import RunInfo, running
from tests.harness.processes import Process
from tests.harness.waiting import wait_until

ORDER = {
    "delivery": {
        "recipient": "Ada Example",
        "address": "Unter den Linden 1",
        "postcode": "10117",
        "city": "Berlin",
        "country": "DE",
    },
    "card": "tok_visa",
}
STEP_TASKS = {"orders.inventory.reserve", "orders.payment.charge", "orders.shipping.create"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack keeps its state."""
    return tmp_path_factory.mktemp("stack")


def clean_environment(directory: Path) -> dict[str, str]:
    """As a newcomer's shell has it: nothing of the tests' servers."""
    ours = ("DATABASE_URL", "BROKER_URL", "SANDBOX", "FLOWER", "EMAIL_URL", "OUTBOX", "SECRET_KEY", "DJANGO")
    blank = {name: "" for name in os.environ if name.startswith(ours)}
    return {**blank, "TODOKE_HOME": str(directory / "home"), "PORT": ""}


@pytest.fixture(scope="module")
def up(directory: Path) -> Iterator[Process]:
    """The stack, ready."""
    environment = {k: v for k, v in clean_environment(directory).items() if v}
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name in clean_environment(directory)}
    hidden.pop("TODOKE_HOME", None)
    try:
        process = Process("stack", ["python", "-m", "project.stack", "up"], environment, directory)
    finally:
        os.environ.update(hidden)
    process.wait_for("Todoke is ready.", timeout=120)
    yield process
    process.stop(timeout=60)


@pytest.fixture(scope="module")
def info(up: Process, directory: Path) -> RunInfo:
    """What runs where."""
    found = running(directory / "home")
    assert found is not None
    return found


def test_it_prints_where_everything_is_and_how_to_sign_in(up: Process, info: RunInfo) -> None:
    """The addresses, and once the generated passwords of both accounts."""
    for name in ("shop", "admin", "api_docs", "sandbox", "flower"):
        assert info.urls[name] in up.output
    assert info.env["TODOKE_OPERATOR_PASSWORD"] in up.output
    assert info.env["TODOKE_CUSTOMER_PASSWORD"] in up.output


def test_each_page_answers(info: RunInfo) -> None:
    """The shop sends a stranger to sign in; the admin, the API's documentation and the health check answer."""
    with httpx.Client(base_url=info.urls["shop"], follow_redirects=True, trust_env=False) as client:
        for path in ("/", "/admin/", "/api/docs", "/api/openapi.json", "/healthz"):
            assert client.get(path).status_code == 200, path


def test_flower_shows_an_orders_tasks_and_asks_for_a_password(info: RunInfo) -> None:
    """An order placed over HTTP is fulfilled, and Flower's API lists its steps by their names."""
    user, password = info.env["FLOWER_BASIC_AUTH"].split(":", 1)
    with httpx.Client(base_url=info.urls["shop"], trust_env=False) as shop:
        shop.headers["Authorization"] = f"Bearer {info.env['TODOKE_API_KEY']}"
        sku = shop.get("/api/products").json()[0]["sku"]
        body = {**ORDER, "lines": [{"sku": sku, "quantity": 1}]}
        answer = shop.post("/api/orders", json=body, headers={"Idempotency-Key": str(uuid4())})
        assert answer.status_code == 202, answer.text
        location = answer.headers["Location"]
        wait_until(lambda: shop.get(location).json()["status"] == "shipped", "the order to ship", timeout=60)
    with httpx.Client(base_url=info.urls["flower"], trust_env=False) as flower:
        assert flower.get("api/tasks").status_code == 401
        flower.auth = (user, password)
        names = lambda: {task["name"] for task in flower.get("api/tasks").json().values()}  # noqa: E731
        wait_until(lambda: names() >= STEP_TASKS, "Flower to list the order's tasks")


def test_manage_py_speaks_to_the_running_stack(info: RunInfo, directory: Path) -> None:
    """In a second terminal, with nothing in the environment, the audit of the running stack is clean."""
    environment = {k: v for k, v in os.environ.items() if k not in clean_environment(directory)}
    environment |= {"TODOKE_HOME": str(directory / "home")}
    done = subprocess.run(
        [sys.executable, "manage.py", "audit"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "The audit is clean."), done.stderr


def test_starting_it_twice_says_what_runs_where(up: Process, info: RunInfo, directory: Path) -> None:
    """A second start changes nothing, and tells."""
    again = Process(
        "again", ["python", "-m", "project.stack", "up"], {"TODOKE_HOME": str(directory / "home")}, directory
    )
    assert again.popen.wait(60) == 0
    assert info.urls["shop"] in again.output
    assert "Traceback" not in again.output


def test_sigterm_stops_everything_and_leaves_no_process(up: Process, info: RunInfo) -> None:
    """In order, within seconds, exit code 0, nothing left behind."""
    family = [psutil.Process(up.popen.pid), *up.children()]
    os.kill(up.popen.pid, signal.SIGTERM)
    assert up.popen.wait(60) == 0
    wait_until(
        lambda: not any(p.is_running() and p.status() != "zombie" for p in family), "every process to be gone"
    )
