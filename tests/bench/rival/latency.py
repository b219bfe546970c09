"""The rival's half of the benchmark ``latency``: publishes one message at a time and prints the latencies."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django

django.setup()

from django.db import transaction  # noqa: E402
from shop.tasks import book  # noqa: E402

from tests.bench.pacing import latencies  # noqa: E402


def publish(number: int) -> None:
    """One transaction with one message."""
    with transaction.atomic():
        book.delay(number, customer="Ada Example", note="x" * 230)


print(json.dumps(latencies(publish, Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201  (its result)
