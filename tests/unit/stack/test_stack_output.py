"""Lines on the terminal: whose they are, colours only where wanted, and no crash when nobody reads."""

from __future__ import annotations

import io

import pytest

from project.stack.output import Printer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class GoneReader(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_names_are_padded() -> None:
    """Each line begins with the name of its process, in a column."""
    stream = io.StringIO()
    printer = Printer(8, stream, {})
    printer.line("web", "one")
    printer.say("two\nthree")
    assert stream.getvalue().splitlines() == ["web      | one", "todoke   | two", "todoke   | three"]


def test_colours_differ_and_stay() -> None:
    """On a terminal each process has its own colour, the same for all its lines; the text has none."""
    stream = Terminal()
    printer = Printer(8, stream, {})
    for name in ("web", "beat", "web"):
        printer.line(name, "text")
    first, second, third = stream.getvalue().splitlines()
    assert first == third
    assert first.startswith("\x1b[")
    assert first.endswith("\x1b[0m text")
    assert first[:5] != second[:5]


@pytest.mark.parametrize(("stream", "environment"), [(io.StringIO(), {}), (Terminal(), {"NO_COLOR": "1"})])
def test_no_colours_where_they_are_not_wanted(stream: io.StringIO, environment: dict[str, str]) -> None:
    """In a file, or with NO_COLOR set, lines are plain."""
    Printer(8, stream, environment).line("web", "text")
    assert "\x1b" not in stream.getvalue()


def test_a_reader_that_left_does_no_harm() -> None:
    """`script/server | head`: the stack goes on."""
    Printer(8, GoneReader(), {}).line("web", "text")
