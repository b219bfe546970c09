"""Lines on the terminal, each with the name of the process that wrote it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

COLOURS = (
    36,
    33,
    32,
    35,
    34,
    96,
    93,
    92,
    95,
    94,
)  # ANSI foregrounds: cyan, yellow, green, magenta, blue; bright
RESET = "\x1b[0m"
OWN_NAME = "todoke"


class Printer:
    """Writes whole lines from several threads. A reader that went away stops the printing, not the stack."""

    def __init__(
        self, width: int, stream: TextIO | None = None, environment: Mapping[str, str] = os.environ
    ) -> None:
        """`width`: of the column for names, in characters."""
        self._stream = stream or sys.stdout
        self._width = max(width, len(OWN_NAME))
        self._coloured = self._stream.isatty() and not environment.get("NO_COLOR")
        self._colours: dict[str, int] = {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Print one line that the process `name` wrote."""
        with self._lock:
            self._write(f"{self._label(name)} {text}")

    def say(self, text: str) -> None:
        """Print lines of the stack itself."""
        for line in text.splitlines():
            self.line(OWN_NAME, line)

    def plain(self, text: str) -> None:
        """Print lines that belong to no process, as they are."""
        with self._lock:
            self._write(text)

    def _label(self, name: str) -> str:
        label = f"{name:<{self._width}} |"
        if not self._coloured:
            return label
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\x1b[{colour}m{label}{RESET}"

    def _write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()
