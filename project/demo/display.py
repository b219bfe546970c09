"""What a person sees while the orders are under way."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from project.demo.standing import Standing

BAR_WIDTH = 40  # characters
REFRESH = 8  # times per second
LINE_EVERY = 1.0  # seconds between two lines where there is no terminal, at least
ROWS = (
    ("placed", "white"),
    ("reserved", "cyan"),
    ("paid", "blue"),
    ("shipped", "green"),
    ("cancelling", "yellow"),
    ("cancelled", "magenta"),
    ("needs_attention", "red"),
)


class Display:
    """Bars on a terminal, redrawn in place; elsewhere a line now and then. Use it as a context manager."""

    def __init__(self, console: Console, total: int) -> None:
        """`total`: the orders to be placed."""
        self._console = console
        self._total = total
        self._begin = time.monotonic()
        self._last = (self._line(Standing()), 0.0)
        self._live = self._make_live() if console.is_terminal and not console.is_dumb_terminal else None

    def __enter__(self) -> Self:
        self._context().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context().__exit__(kind, error, trace)

    def show(self, standing: Standing) -> None:
        """Show how the orders stand now."""
        if self._live is not None:
            self._live.update(self._bars(standing))
            return
        line, now = self._line(standing), time.monotonic()
        if line != self._last[0] and (now - self._last[1] >= LINE_EVERY or standing.ended == self._total):
            self._last = (line, now)
            self._console.print(f"{now - self._begin:6.1f} s  {line}", soft_wrap=True)

    def _make_live(self) -> Live:
        return Live(console=self._console, refresh_per_second=REFRESH, transient=False)

    def _context(self) -> AbstractContextManager[object]:
        return self._live or nullcontext()

    def _line(self, standing: Standing) -> str:
        counts = [f"{name.replace('_', ' ')} {standing.orders[name]}" for name, _ in ROWS]
        return ", ".join([*counts, f"retries {standing.retries}"])

    def _bars(self, standing: Standing) -> RenderableType:
        """One bar for each status: how many orders are in it now."""
        grid = Table.grid(padding=(0, 1))
        for name, colour in ROWS:
            count = standing.orders[name]
            bar = ProgressBar(self._total, count, BAR_WIDTH, complete_style=colour, finished_style=colour)
            grid.add_row(name.replace("_", " "), bar, f"{count:>5}")
        seconds = time.monotonic() - self._begin
        head = f"{standing.ended} of {self._total} ended, {standing.retries} retries, {seconds:.0f} s"
        return Group(Text(head), grid)
