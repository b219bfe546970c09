"""The README's example works as it stands there."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import celery
import pytest
from django.db import transaction

from outbox import api
from outbox.saga import api as sagas
from outbox.saga.models import Saga
from outbox.testing import drain

README = Path(__file__).resolve().parents[3] / "README.md"
DONE: list[str] = []


@dataclass
class Order:
    """Stands for the reader's own model."""

    id: UUID
    total: Decimal

    def save(self) -> None:
        DONE.append("save")


def _does(name: str) -> Any:
    """A function of the reader's own, of which it is enough to know that it was called."""

    def function(_: Any) -> None:
        DONE.append(name)

    function.__name__ = name
    return function


@cache
def example() -> ModuleType:
    """The example as a module, with its imports and with what it leaves to the reader."""
    module = sys.modules["readme_example"] = ModuleType("readme_example")
    given = {name: getattr(door, name) for door in (sagas, api) for name in door.__all__}
    own = ("add_to_sales", "send_mail", "reserve", "release", "charge", "refund", "ship")
    given |= {"dataclass": dataclass, "Decimal": Decimal, "UUID": UUID, "Order": Order}
    given |= {"shared_task": celery.shared_task, "transaction": transaction} | {
        name: _does(name) for name in own
    }
    module.__dict__.update(given)
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(code, str(README), "exec"), module.__dict__)
    return module


@pytest.mark.django_db
def test_the_readmes_example_does_what_it_says() -> None:
    """One transaction; then the subscriber, the task and every step of the saga have run, each once."""
    order = Order(uuid4(), Decimal("4.50"))
    DONE.clear()
    example().place(order)
    assert DONE == ["save"]
    drain()
    assert sorted(DONE) == sorted(["save", "add_to_sales", "send_mail", "reserve", "charge", "ship"])
    assert [name for name in DONE if name in ("reserve", "charge", "ship")] == ["reserve", "charge", "ship"]
    assert Saga.objects.get(key=str(order.id)).status == Saga.Status.COMPLETED
