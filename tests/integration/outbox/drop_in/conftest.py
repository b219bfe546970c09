"""A worker for each of the two applications, for all tests of this folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.result import AsyncResult, GroupResult

from outbox.relay.engine import Relay
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox.drop_in import applications, work

APPLICATIONS = "tests.integration.outbox.drop_in.applications"
AN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="package")
def workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Both workers, ready."""
    platform = Platform(tmp_path_factory.mktemp("drop_in"))
    started = [
        platform.start(
            name, "celery", "-A", f"{APPLICATIONS}.{name}", "worker", "-Q", name, "-n", f"{name}@%h", "-c", "3",
            "--without-gossip", "--without-mingle", OUTBOX_WAKE_UP="", OUTBOX_RESEND_AFTER="60",
        )
        for name in ("plain", "durable")
    ]  # fmt: skip
    for worker in started:
        worker.wait_for(" ready.")
    yield platform
    platform.stop()


@pytest.fixture
def relay(transactional_db: None) -> Iterator[Relay]:
    """The relay, to be turned by hand while something is awaited."""
    relay = Relay()
    yield relay
    relay.close()


@pytest.fixture
def settle(workers: Platform, relay: Relay) -> Callable[..., Any]:
    """Waits for a result, and for so many notes of the durable tasks, while the relay turns: what came of it."""

    def settled(result: AsyncResult | GroupResult, notes: int = 0) -> Any:
        def ready() -> bool:
            relay.turn()
            return bool(result.ready()) and len(work.seen(applications.durable)) >= notes

        wait_until(ready, f"the outcome of {result}", timeout=30)
        return told(result)

    return settled


class Tasks:
    """The tasks of an application by their names: ``tasks.add`` is ``work.add``."""

    def __init__(self, app: Celery) -> None:
        self.app = app

    def __getattr__(self, name: str) -> Any:
        return self.app.tasks[f"work.{name}"]


def told(result: AsyncResult | GroupResult) -> Any:
    """A result's state and value, its ids replaced by the order in which they appear."""
    if isinstance(result, GroupResult):
        return [told(one) for one in result]
    value = result.result
    if isinstance(value, BaseException):
        value = [type(value).__name__, [str(arg) for arg in value.args]]
    return unnamed(json.dumps([result.id, result.state, value], default=str))


def unnamed(text: str) -> str:
    """The text, with ids replaced by the order in which they appear."""
    names: dict[str, str] = {}
    return AN_ID.sub(lambda found: names.setdefault(found[0], f"id-{len(names)}"), text)
