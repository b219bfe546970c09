"""One row of each kind, written by the real code, to be copied by the thousand."""

from __future__ import annotations

from tests.bench.lab import Lab
from tests.bench.rows import keep_template

TASK, EVENT = "bench_template_task", "bench_template_event"


def prepare(lab: Lab) -> None:
    """Write a durable task's row and an event's row, and keep them as templates; once a laboratory."""
    from django.db import connections, transaction

    from outbox.api import publish
    from tests.bench.app.events import Booked
    from tests.bench.app.tasks import NOTE, book

    with lab.database() as connection:
        if connection.execute("SELECT to_regclass(%s)", [EVENT]).fetchone() != (None,):
            return
        lab.empty()
        with transaction.atomic():
            book.delay(1, **NOTE)
        keep_template(connection, "outbox_message", TASK)
        with transaction.atomic():
            publish(Booked(1, **NOTE))
        keep_template(connection, "outbox_message", EVENT)
    connections.close_all()
