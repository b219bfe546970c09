"""The examples of the documentation work as they stand there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "events.md"
EXAMPLES = "\n\n".join(
    re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
)


@cache
def documented() -> ModuleType:
    """All examples of the page, as one module."""
    module = sys.modules["documented_events"] = ModuleType("documented_events")
    exec(compile(EXAMPLES, str(PAGE), "exec"), module.__dict__)
    return module


def example(name: str) -> Callable[[], None]:
    """One of the page's tests."""
    found: Callable[[], None] = getattr(documented(), name)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("name", re.findall(r"^def (test_\w+)", EXAMPLES, re.MULTILINE))
def test_the_documented_tests_pass(name: str) -> None:
    """Each example test, on the examples before it."""
    example(name)()


def test_the_page_has_examples() -> None:
    """A page without any would pass, too."""
    assert EXAMPLES.count("def test_") >= 5


@pytest.mark.django_db
def test_an_older_row_of_the_documented_event_is_understood() -> None:
    """The page's upcaster."""
    page = documented()
    assert page.add_language({"invoice_id": "x"}) == {"invoice_id": "x", "language": "en"}
