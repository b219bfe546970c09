"""The console speaks Japanese, completely."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.template.loader import get_template
from django.utils import translation

ROOT = Path(__file__).parents[3]
APPS = ("outbox", "project")
MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
IN_TEMPLATE = re.compile(r"""\{%\s*translate\s+"([^"]+)"|asvar""")
PLACES = re.compile(r"%\(\w+\)s|%\(\w+\)d|%[sd]")


def catalogue(app: str) -> dict[str, str]:
    """What the compiled catalogue of an application has; plurals under their first form."""
    path = ROOT / app / "locale/ja/LC_MESSAGES/django.mo"
    with path.open("rb") as file:
        entries = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {(key[0] if isinstance(key, tuple) else key): text for key, text in entries.items()}


def marked(app: str) -> Iterator[str]:
    """Every text of an application that is marked for translation, in Python and in templates."""
    for path in (ROOT / app).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MARKS and node.args:
                first = node.args[0]
                yield from [str(first.value)] if isinstance(first, ast.Constant) else []
    for path in (ROOT / app).rglob("*.html"):
        yield from (text for text in IN_TEMPLATE.findall(path.read_text()) if text)


@pytest.mark.parametrize("app", APPS)
def test_every_text_is_translated(app):
    """In the compiled catalogue, which is what is read; so it is not older than the code either."""
    known = catalogue(app)
    assert sorted({text for text in marked(app) if not known.get(text)}) == []


@pytest.mark.parametrize("app", APPS)
def test_translations_take_the_same_values(app):
    """A place for a value that is missing or new would fail, or lose it, where it is shown."""
    wrong = {
        text: other
        for text, other in catalogue(app).items()
        if text and not set(PLACES.findall(other)) <= set(PLACES.findall(text)) | {"%(count)d"}
    }
    assert wrong == {}


def test_the_catalogues_are_used():
    """In a template and in Python."""
    with translation.override("ja"):
        assert "ブローカーに接続できません" in get_template("admin/console/panels/broker.html").render(
            {"content": {"away": "x"}}
        )
        assert translation.gettext("Dead letters") == "デッドレター"
