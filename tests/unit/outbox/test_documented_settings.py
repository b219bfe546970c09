"""The page of settings."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

from outbox.conf import OutboxSettings, build

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "settings.md").read_text("utf-8")


def test_every_option_is_there_with_its_default() -> None:
    """And nothing else is."""
    told = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert sorted(name for name, _ in told) == sorted(f.name for f in fields(OutboxSettings))
    assert {name: ast.literal_eval(value) for name, value in told} == {
        f.name: f.default for f in fields(OutboxSettings)
    }


def test_the_example_is_sound() -> None:
    """As ``manage.py check`` judges."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    told: dict[str, dict[str, object]] = {}
    exec(code, told)
    assert build(told["OUTBOX"]).problems() == []
