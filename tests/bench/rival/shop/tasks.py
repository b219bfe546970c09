"""The same task as the benchmarks' own application has."""

from __future__ import annotations

import os
import time
from pathlib import Path

from shop.celery import app


@app.task(name="bench.book", ignore_result=True)
def book(number: int, customer: str, note: str) -> None:
    """Note the time."""
    now = time.time()
    if path := os.environ.get("BENCH_TIMES_FILE"):
        with Path(path).open("a") as file:
            file.write(f"{number} {now!r}\n")
