"""How far long work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 2.0
"""Seconds between two lines where there is no terminal."""
INTERRUPTED = 130
"""Exit code of what Ctrl-C has ended, as shells have it."""


def follow(batches: Iterator[int], console: Console, *, total: int, what: str) -> int:
    """Do the work, batch by batch, and show how far it has come. Returns how much it was.

    Args:
        batches: yields the size of each batch after it is done.
        console: where to show it.
        total: how much it will be, about.
        what: of what, such as ``messages redriven``.

    Raises:
        CommandError: Ctrl-C; the message says what is done, and stays done.
    """
    done = 0
    try:
        for count in _shown(batches, console, total, what):
            done += count
    except KeyboardInterrupt:
        raise CommandError(f"Stopped: {done:,} {what}; that stays.", returncode=INTERRUPTED) from None
    if done:
        console.print(f"{done:,} {what}.")
    return done


def _shown(batches: Iterator[int], console: Console, total: int, what: str) -> Iterator[int]:
    if console.is_terminal and not console.is_dumb_terminal:
        yield from _with_bar(batches, console, total, what)
        return
    done, next_line = 0, time.monotonic() + LINE_EVERY
    for count in batches:
        done += count
        yield count
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + LINE_EVERY
            console.print(f"{done:,} of {total:,} {what}")


def _with_bar(batches: Iterator[int], console: Console, total: int, what: str) -> Iterator[int]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        for count in batches:
            progress.advance(task, count)
            yield count
