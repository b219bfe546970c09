"""What publishing adds to a transaction, as a program: one of the two that the benchmark ``publish`` compares.

    python -m tests.bench.publishing TRANSACTIONS ROWS

prints one JSON object: for each kind of transaction the seconds that each took, the CPU seconds of this process
for all of them, and how fast rows are written in bulk.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping

WARM_UP = 50


def main(count: int, rows: int) -> None:
    """Measure and print."""
    import django

    django.setup()

    from outbox.api import publish
    from tests.bench.app.events import Booked
    from tests.bench.app.models import Booking
    from tests.bench.app.tasks import NOTE, book

    def book_only() -> Booking:
        return Booking.objects.create(customer="Ada Example", amount="12.50")

    def with_event() -> None:
        publish(Booked(book_only().pk, **NOTE))

    def with_task() -> None:
        book.delay(book_only().pk, **NOTE)

    kinds = {"alone": book_only, "with an event": with_event, "with a task": with_task}
    print(json.dumps({**both_ways(kinds, count), "bulk": bulk(rows)}))  # noqa: T201  (its result)


def both_ways(kinds: Mapping[str, Callable[[], object]], count: int) -> dict[str, object]:
    """So many transactions of each kind without waiting for the disk at their commit, and as many with."""
    return {
        "unsynced": take_turns(kinds, count, "off"),
        "synced": take_turns(kinds, count, "on"),
    }


def take_turns(
    kinds: Mapping[str, Callable[[], object]], count: int, synchronous_commit: str
) -> dict[str, dict[str, object]]:
    """Each kind of transaction in turn, so many times, in an order that rotates."""
    from django.db import connection, transaction

    with connection.cursor() as cursor:
        cursor.execute(f"SET synchronous_commit = {synchronous_commit}")
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    cpu = dict.fromkeys(kinds, 0.0)
    names = list(kinds)
    for number in range(-WARM_UP, count):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            wall, own = time.perf_counter(), time.thread_time()
            with transaction.atomic():
                kinds[name]()
            if number >= 0:
                seconds[name].append(time.perf_counter() - wall)
                cpu[name] += time.thread_time() - own
    return {"seconds": seconds, "cpu": cpu}


def bulk(rows: int) -> dict[str, float]:
    """Many events in one transaction, from objects to committed rows."""
    from django.db import transaction

    from outbox.publish import publish_all
    from tests.bench.app.events import Booked
    from tests.bench.app.tasks import NOTE

    events = [Booked(number, **NOTE) for number in range(rows)]
    wall, own = time.perf_counter(), time.thread_time()
    with transaction.atomic():
        publish_all(events)
    return {"rows": rows, "seconds": time.perf_counter() - wall, "cpu": time.thread_time() - own}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
