"""English and Japanese are both complete."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

from django.utils import translation
from django.utils.translation.template import templatize

ORDERS = Path(__file__).resolve().parents[2] / "orders"
CATALOGUE = ORDERS / "locale" / "ja" / "LC_MESSAGES" / "django.po"
ELSEWHERE = {"api", "sandbox", "migrations"}
"""Parts of the application that nobody reads on a page."""
FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
WITH_CONTEXT = {"pgettext", "pgettext_lazy"}
SEPARATOR = "\x04"
"""Between a context and a sentence, in compiled catalogues."""
LITERAL = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


def entries() -> dict[str, str]:
    """The translations, by what they translate; a plural's only form by its singular."""
    found: dict[str, str] = {}
    for block in CATALOGUE.read_text().split("\n\n")[1:]:
        assert "fuzzy" not in block, f"unchecked: {block}"
        assert "#~" not in block, f"left over: {block}"
        words = {
            key: ast.literal_eval(value)
            for key, value in re.findall(r"^(msg\w+(?:\[0\])?) (\".*\")$", block, re.MULTILINE)
        }
        context = f"{words['msgctxt']}{SEPARATOR}" if "msgctxt" in words else ""
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
        if path.is_file() and not ELSEWHERE & set(path.relative_to(ORDERS).parts):
            yield path.read_text()


def said_by_code() -> Iterator[str]:
    """Sentences in Python files."""
    for source in sources(ORDERS, "*.py"):
        yield from calls(source)


def said_by_templates() -> Iterator[str]:
    """Sentences in templates, found by Django's own reading of them."""
    for source in sources(ORDERS / "templates", "*.*"):
        for literal in re.findall(rf"gettext\(u?({LITERAL})", templatize(source)):
            yield ast.literal_eval(literal)


def test_everything_is_translated() -> None:
    """Each sentence of the shop and its console has its Japanese, and nothing else is in the catalogue."""
    said, known = {*said_by_code(), *said_by_templates()}, entries()

    assert len(said) > 200
    assert said - set(known) == set()
    assert set(known) - said == set()
    assert [sentence for sentence, words in known.items() if not words.strip()] == []


def test_translations_are_japanese_and_say_what_they_should() -> None:
    """The same placeholders; and not the English once more."""
    for sentence, words in entries().items():
        assert set(PLACEHOLDER.findall(sentence)) == set(PLACEHOLDER.findall(words)), sentence
        assert words != sentence or sentence == "API"


def test_the_compiled_catalogue_is_the_written_one() -> None:
    """Both are kept: not every machine can compile it."""
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # there is no other way in
    by_sentence = {key[0] if isinstance(key, tuple) else key: words for key, words in compiled.items()}
    by_sentence.pop("")

    assert by_sentence == entries()


def test_no_other_catalogue_overrules_it() -> None:
    """Applications share one catalogue, and the first one has the word: ours is what is shown."""
    with translation.override("ja"):
        shown = {sentence: translation.gettext(sentence) for sentence in entries()}
        plural = {sentence: translation.ngettext(sentence, sentence, 1) for sentence in entries()}

    for sentence, words in entries().items():
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
