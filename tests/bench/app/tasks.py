"""Tasks: one durable, one as plain Celery has it; both only note when they start."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Task, shared_task

from tests.bench.app import unsafe  # noqa: F401  (registers its tasks)

TIMES = "BENCH_TIMES_FILE"
NOTE = {"customer": "Ada Example", "note": "x" * 230}
"""Arguments that make a message's body about 300 bytes long, together with the number."""


@shared_task(name="bench.book", ignore_result=True)
def book(number: int, customer: str, note: str) -> None:
    """Note the time, for the benchmarks of latency."""
    _note_start(number)


@shared_task(base=Task, name="bench.book_plainly", ignore_result=True)
def book_plainly(number: int, customer: str, note: str) -> None:
    """The same without the outbox."""
    _note_start(number)


def _note_start(number: int) -> None:
    """A line with the number and this machine's clock; one short write, so lines of two processes never mix."""
    now = time.time()
    if path := os.environ.get(TIMES):
        with Path(path).open("a") as file:
            file.write(f"{number} {now!r}\n")
