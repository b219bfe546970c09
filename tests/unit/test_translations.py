"""English and Japanese are both complete, and each catalogue is what the code and the templates say."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.utils import translation
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
ORDERS = ROOT / "orders"
APPS = ("orders", "outbox", "project")
ELSEWHERE = {"api", "sandbox", "migrations"}
"""Parts of an application that nobody reads on a page."""
FUNCTIONS = {
    *("_", "gettext", "gettext_lazy", "gettext_noop"),
    *("ngettext", "ngettext_lazy"),
}
WITH_CONTEXT = {"pgettext", "pgettext_lazy"}
SEPARATOR = "\x04"
"""Between a context and a sentence, in compiled catalogues."""
LITERAL = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
IN_TEMPLATE = re.compile(rf"(p?)(?:gettext|\b_)\(u?({LITERAL})(?:, u?({LITERAL}))?")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]")
THE_SAME = {"API"}
"""What is Japanese, too."""
of_each_app = pytest.mark.parametrize("app", APPS)


def written(app: str) -> Path:
    """The catalogue as it is written."""
    return ROOT / app / "locale" / "ja" / "LC_MESSAGES" / "django.po"


def entries(app: str) -> dict[str, str]:
    """The translations, by what they translate; a plural's only form by its singular."""
    found: dict[str, str] = {}
    for block in written(app).read_text().split("\n\n")[1:]:
        assert "fuzzy" not in block, f"unchecked: {block}"
        assert "#~" not in block, f"left over: {block}"
        words = {
            key: ast.literal_eval(value)
            for key, value in re.findall(r"^(msg\w+(?:\[0\])?) (\".*\")$", block, re.MULTILINE)
        }
        context = f"{words['msgctxt']}{SEPARATOR}" if "msgctxt" in words else ""
        assert context + words["msgid"] not in found, f"twice: {block}"
        found[context + words["msgid"]] = words.get("msgstr") or words.get("msgstr[0]", "")
    return found


def calls(source: str) -> Iterator[str]:
    """What is given to the functions that translate, with its context where there is one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = [str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
            if node.func.id in FUNCTIONS and given:
                yield given[0]
            elif node.func.id in WITH_CONTEXT:
                yield SEPARATOR.join(given)


def sources(folder: Path, pattern: str) -> Iterator[str]:
    """The files that customers and operators get to read."""
    for path in folder.rglob(pattern):
        if path.is_file() and not ELSEWHERE & set(path.relative_to(ROOT).parts):
            yield path.read_text()


def said_by_code(app: str) -> Iterator[str]:
    """Sentences in Python files."""
    for source in sources(ROOT / app, "*.py"):
        yield from calls(source)


def said_by_templates(app: str) -> Iterator[str]:
    """Sentences in templates, found by Django's own reading of them."""
    for folder in (ROOT / app).rglob("templates"):
        for source in sources(folder, "*.*"):
            for has_context, first, second in IN_TEMPLATE.findall(templatize(source)):
                yield SEPARATOR.join(map(ast.literal_eval, (first, second) if has_context else (first,)))


@of_each_app
def test_everything_is_translated(app: str) -> None:
    """Each sentence has its Japanese, and nothing else is in the catalogue, but for words of others' templates."""
    said, known = {*said_by_code(app), *said_by_templates(app)}, entries(app)

    assert len(said) > 40
    assert sorted(said - set(known)) == []
    assert app == "project" or sorted(set(known) - said) == []
    assert [sentence for sentence, words in known.items() if not words.strip()] == []


@pytest.mark.parametrize("app", ["orders", "outbox", "saga"])
def test_every_model_and_field_has_a_name_in_japanese(app: str) -> None:
    """What the admin calls them by itself, in lists, forms and questions; and so with the words for their values."""
    with translation.override("ja"):
        names = {str(apps.get_app_config(app).verbose_name): app}
        for model in apps.get_app_config(app).get_models():
            names |= {str(model._meta.verbose_name): model, str(model._meta.verbose_name_plural): model}
            for field in model._meta.concrete_fields:
                names |= {
                    str(text): field for text in (field.verbose_name, *dict(field.flatchoices).values())
                }
    left = {name: where for name, where in names.items() if not re.search(r"[ぁ-んァ-ヶ一-龠]", name)}

    assert set(left) <= {"ID", "SKU", "API", "traceparent"}


@of_each_app
def test_translations_are_japanese_and_say_what_they_should(app: str) -> None:
    """The same placeholders; and not the English once more."""
    for sentence, words in entries(app).items():
        assert set(PLACEHOLDER.findall(sentence)) == set(PLACEHOLDER.findall(words)), sentence
        assert words != sentence or sentence in THE_SAME


@of_each_app
def test_the_compiled_catalogue_is_the_written_one(app: str) -> None:
    """Both are kept: not every machine can compile it."""
    with written(app).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # there is no other way in
    by_sentence = {key[0] if isinstance(key, tuple) else key: words for key, words in compiled.items()}
    by_sentence.pop("")

    assert by_sentence == entries(app)


@of_each_app
def test_no_other_catalogue_overrules_it(app: str) -> None:
    """Applications share one catalogue, and the first one has the word: ours is what is shown."""
    with translation.override("ja"):
        shown = {sentence: translation.gettext(sentence) for sentence in entries(app)}
        plural = {sentence: translation.ngettext(sentence, sentence, 1) for sentence in entries(app)}

    for sentence, words in entries(app).items():
        assert words in (shown[sentence], plural[sentence]), f"Give {sentence!r} a context, or other words."


def test_templates_say_nothing_that_is_not_translated() -> None:
    """What is left of a template without its tags is punctuation, and a few names."""
    for source in sources(ORDERS / "templates", "*.*"):
        left = re.sub(r"{% comment %}.*?{% endcomment %}", "", source, flags=re.DOTALL)
        left = re.sub(r"{% block body_attributes %}.*?{% endblock %}", "", left)
        left = re.sub(r"{% blocktranslate.*?{% endblocktranslate %}", "", left, flags=re.DOTALL)
        left = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", left)
        attributes = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', left)
        left = re.sub(r"<[^>]*>", " ", left)
        words = set(re.findall(r"[A-Za-z]{2,}", f"{left} {' '.join(attributes)}"))
        assert words <= {"Todoke", "UTC", "ms"}, source
