"""The whole stack as ``script/server`` starts it: one command up, everything answers, one signal down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from orders.sandbox.client import SandboxClient
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


@pytest.fixture
def shop(info: RunInfo) -> Iterator[httpx.Client]:
    """A client of the shop's API."""
    with httpx.Client(base_url=info.urls["shop"], trust_env=False) as client:
        client.headers["Authorization"] = f"Bearer {info.env['TODOKE_API_KEY']}"
        yield client


@pytest.fixture
def flower(info: RunInfo) -> Iterator[httpx.Client]:
    """A client of Flower's API, with its password."""
    user, password = info.env["FLOWER_BASIC_AUTH"].split(":", 1)
    with httpx.Client(base_url=info.urls["flower"], trust_env=False, auth=(user, password)) as client:
        yield client


def place_order(shop: httpx.Client) -> str:
    """Place an order of one product over HTTP; returns its address."""
    sku = shop.get("/api/products").json()[0]["sku"]
    body = {**ORDER, "lines": [{"sku": sku, "quantity": 1}]}
    answer = shop.post("/api/orders", json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def wait_until_shipped(shop: httpx.Client, location: str) -> None:
    """Wait until the order at that address has been shipped."""
    wait_until(lambda: shop.get(location).json()["status"] == "shipped", "the order to ship", timeout=90)


def tasks_of(flower: httpx.Client, location: str) -> dict[str, dict[str, Any]]:
    """The tasks of an order as Flower lists them, by their ids: those whose arguments name it."""
    order_id = location.rstrip("/").rsplit("/", 1)[-1]
    tasks = flower.get("api/tasks").json()
    return {id_: task for id_, task in tasks.items() if order_id in str(task["kwargs"])}


def test_flower_shows_an_orders_tasks_and_asks_for_a_password(
    info: RunInfo, shop: httpx.Client, flower: httpx.Client
) -> None:
    """An order placed over HTTP is fulfilled; Flower lists its steps by their names, and no personal data."""
    location = place_order(shop)
    wait_until_shipped(shop, location)
    assert httpx.get(f"{info.urls['flower']}api/tasks", trust_env=False).status_code == 401

    def succeeded() -> set[str]:
        return {t["name"] for t in tasks_of(flower, location).values() if t["state"] == "SUCCESS"}

    wait_until(lambda: succeeded() >= STEP_TASKS, "Flower to list the order's tasks")
    shown = flower.get("api/tasks").text
    for personal in (*ORDER["delivery"].values(), ORDER["card"]):
        assert f"'{personal}'" not in shown
        assert len(personal) < 5 or personal not in shown


def test_flower_shows_a_retry_under_the_same_id(
    info: RunInfo, shop: httpx.Client, flower: httpx.Client
) -> None:
    """While payment is down the order's charge stands as RETRY; then the same task succeeds."""
    with SandboxClient(info.urls["sandbox"], info.env["SANDBOX_TOKEN"]) as sandbox:
        sandbox.set_faults("payment", down=True)
        location = place_order(shop)

        def retried() -> list[str]:
            found = tasks_of(flower, location).items()
            return [id_ for id_, t in found if (t["name"], t["state"]) == ("orders.payment.charge", "RETRY")]

        (task_id,) = wait_until(retried, "the charge to be retried")
        sandbox.reset_faults()
    wait_until_shipped(shop, location)
    wait_until(lambda: tasks_of(flower, location)[task_id]["state"] == "SUCCESS", "the same task to succeed")


def test_flowers_history_survives_a_restart(up: Process, shop: httpx.Client, flower: httpx.Client) -> None:
    """Flower is stopped and comes back by itself, with what it knew."""
    location = place_order(shop)
    wait_until_shipped(shop, location)
    wait_until(lambda: len(tasks_of(flower, location)) >= len(STEP_TASKS), "Flower to list the order's tasks")
    before = set(tasks_of(flower, location))
    (process,) = [child for child in up.children() if "flower" in child.cmdline()]
    process.terminate()
    process.wait(30)

    def again() -> set[str]:
        try:
            return set(tasks_of(flower, location))
        except (httpx.HTTPError, ValueError):
            return set()

    wait_until(lambda: again() >= before, "Flower to know them again", timeout=60)


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
