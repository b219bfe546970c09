"""The page on sagas: its examples work as they stand there, and it leaves out nothing that it is to explain."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from django.core.management import CommandParser

from outbox.saga import api, registry
from outbox.saga.api import register
from outbox.saga.management.commands.saga import Command
from outbox.saga.testing import SagaRun

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sagas.md"
TEXT = PAGE.read_text("utf-8")
EXAMPLES = "\n\n".join(re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))


@cache
def documented() -> ModuleType:
    """All examples of the page, as one module."""
    module = sys.modules["documented_sagas"] = ModuleType("documented_sagas")
    exec(compile(EXAMPLES, str(PAGE), "exec"), module.__dict__)
    return module


@pytest.mark.django_db
@pytest.mark.parametrize("name", re.findall(r"^def (test_\w+)", EXAMPLES, re.MULTILINE))
def test_the_documented_tests_pass(name: str) -> None:
    """Each example test, on the examples before it."""
    example: Callable[[], None] = getattr(documented(), name)
    example()


@pytest.mark.django_db
def test_a_running_saga_becomes_one_of_the_documented_version() -> None:
    """The page's migration, deployed while a saga waits under the step's old name."""
    page = documented()
    page.book("t-7")
    run = SagaRun("trips.booking", "t-7")
    run.to_end()
    registry.remove(page.TRIP)
    register(page.TRIP_2)
    try:
        page.paid("t-7", "p-7", 1)
        assert run.to_end() == "completed"
        assert (run.saga.version, run.rows["deposit"]) == (2, "succeeded")
    finally:
        registry.remove(page.TRIP_2)
        registry.add(page.TRIP)


@pytest.mark.parametrize("name", api.__all__)
def test_every_public_name_is_explained(name: str) -> None:
    """In a table or a sentence; to be imported by an example is no explanation."""
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    assert f"`{name}`" in prose


def test_every_verb_of_the_command_is_in_the_table() -> None:
    """And the table has no other."""
    parser = CommandParser()
    Command().add_arguments(parser)
    (verbs,) = [action.choices for action in parser._actions if action.dest == "verb"]
    table = TEXT[TEXT.index("## Operating") :]
    assert set(re.findall(r"^\| `(\w+)[ `]", table, re.MULTILINE)) == set(verbs or ())
