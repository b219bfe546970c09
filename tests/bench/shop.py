"""The shop at work: sandbox, workers, customers and goods."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from project.stack.priority import give_way
from project.stack.services import WEB_PROCESSES
from tests.bench.lab import STEPS, Lab
from tests.harness.processes import Process, answers, free_port
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

    from orders.models import Order
    from orders.sandbox.client import SandboxClient

STEP_QUEUES = "inventory,payment,shipping,default"
SKUS = [f"TEA-{number:02}" for number in range(40)]


def open_shop(lab: Lab) -> AbstractUser:
    """An empty database with a customer and forty products in stock; returns the customer."""
    from tests.harness.shop import customer, product

    lab.empty()
    for sku in SKUS:
        product(sku, on_hand=1_000_000)
    return customer()


def start_sandbox(lab: Lab) -> SandboxClient:
    """Start the outside services; every process started later uses them. They answer without delay."""
    from orders.sandbox.client import SandboxClient

    port, token = free_port(), secrets.token_hex()
    url = f"http://127.0.0.1:{port}"
    os.environ.update(SANDBOX_URL=url, SANDBOX_TOKEN=token)
    granian(
        lab,
        "sandbox",
        "asgi",
        "orders.sandbox.app:app",
        port,
        SANDBOX_DB=str(lab.directory / f"{port}.sqlite3"),
    )
    wait_until(lambda: answers(f"{url}/healthz"), "the sandbox to answer")
    return SandboxClient(url, token)


def start_web(lab: Lab, **env: str) -> str:
    """Start the shop as the stack does; returns its address when it answers."""
    port = free_port()
    processes = {"GRANIAN_WORKERS": str(WEB_PROCESSES), "DATABASE_POOL_SIZE": "10"}
    granian(lab, "web", "asginl", "project.asgi:application", port, **processes, **env)
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(f"{url}/healthz"), "the shop to answer")
    return url


def granian(lab: Lab, name: str, interface: str, application: str, port: int, **env: str) -> Process:
    """Start a web server as the stack does."""
    where = ("--host", "127.0.0.1", "--port", str(port), "--workers-kill-timeout", "5")
    return lab.start(name, "granian", "--interface", interface, *where, application, **env)


def start_default(lab: Lab) -> list[Process]:
    """What the stack runs, with the priority that it has there: a worker for the steps, one for delivery, beat."""
    env = {"OUTBOX_WAKE_UP": "direct,task"}
    workers = [lab.worker(STEP_QUEUES, concurrency=2, **env), lab.worker("outbox", **env)]
    background = [*workers, lab.beat(**env).wait_for("beat: Starting")]
    for process in background:
        for part in (process.popen, *process.children()):
            give_way(part.pid)
    return background


def start_with_relay(lab: Lab) -> list[Process]:
    """A worker for the steps and a relay of its own, woken by PostgreSQL's NOTIFY."""
    env = {"OUTBOX_WAKE_UP": "direct,notify"}
    worker = lab.worker(STEP_QUEUES, concurrency=2, **env)
    return [worker, lab.manage("relay", **env).wait_for("The relay is running")]


def order(customer: AbstractUser, number: int, place: Callable[..., Order] | None = None) -> Order:
    """An order of one of the products."""
    from orders.services.placing import place_order
    from tests.harness.shop import BERLIN, GOOD_CARD

    return (place or place_order)(customer, {SKUS[number % len(SKUS)]: 1}, BERLIN, GOOD_CARD)


def wait_until_idle(lab: Lab) -> None:
    """Until every message is consumed, and nothing is in the broker or in a worker's hands."""
    from outbox.models import Message

    def is_idle() -> bool:
        with lab.broker as broker:
            queued = sum(broker.llen(name + step) for name in STEP_QUEUES.split(",") for step in STEPS)
            if queued or broker.hlen("unacked"):
                return False
        return not Message.objects.filter(consumed_at=None, discarded_at=None).exists()

    wait_until(is_idle, "the shop to be idle", timeout=300)
