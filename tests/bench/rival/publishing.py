"""The rival's half of the benchmark ``publish``: the same transactions, in the same order, the same output."""

from __future__ import annotations

import json
import sys

import django

django.setup()

from shop.models import Booking  # noqa: E402
from shop.tasks import book  # noqa: E402

from tests.bench.publishing import both_ways  # noqa: E402

NOTE = {"customer": "Ada Example", "note": "x" * 230}


def book_only() -> Booking:
    """The business row."""
    return Booking.objects.create(customer="Ada Example", amount="12.50")


def with_task() -> None:
    """The business row and a task."""
    book.apply_async((book_only().pk,), NOTE)


print(json.dumps(both_ways({"alone": book_only, "with a task": with_task}, int(sys.argv[1]))))  # noqa: T201  (its result)
