"""``admin``: how long the operator's console takes for its pages when the table of messages is huge."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Any
from urllib.parse import urlencode

from psycopg import Connection

from tests.bench.lab import Lab
from tests.bench.result import Goal, Result, percentile, tidy
from tests.bench.sizes import Sizes

MOST_MS = 300.0
"""What each page must stay below."""
PART = 250_000
"""Rows written by one statement."""
LIST, PANELS = "/admin/outbox/message/", "/admin/outbox/message/panels/"
STORAGE = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
}

FILL = """
INSERT INTO outbox_message (id, type, consumer, payload, headers, correlation_id, status, occurred_at,
    next_attempt_at, attempts, lock_id, locked_until, sent_at, consumed_at, discarded_at, last_error)
SELECT uuidv7(-age), type,
    CASE WHEN type LIKE '%%.order_%%' THEN 'orders.email_' || split_part(type, '.', 2) ELSE type END,
    jsonb_build_object('order_id', gen_random_uuid(), 'amount', '47.00', 'currency', 'EUR'), '{"version": 1}',
    md5((i / 6)::text)::uuid::text, status, now() - age, now() - age,
    CASE status WHEN 'pending' THEN (i %% 2)::int WHEN 'failed' THEN 8 ELSE 1 END,
    CASE WHEN status = 'processing' THEN gen_random_uuid() END,
    CASE WHEN status = 'processing' OR state = 'unconsumed' THEN now() + interval '1 min' END,
    CASE WHEN status = 'sent' THEN now() - age END,
    CASE WHEN state = 'consumed' THEN now() - age END,
    CASE WHEN state = 'discarded' THEN now() END,
    CASE WHEN status = 'failed' OR status = 'pending' AND i %% 2 = 1 THEN errors[1 + i %% 4] ELSE '' END
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
CROSS JOIN LATERAL (SELECT make_interval(secs => (%(rows)s - i) * 5 * 86400.0 / %(rows)s) AS age) AS a
CROSS JOIN LATERAL (SELECT CASE
    WHEN i %% 100000 = 7 THEN 'processing' WHEN i %% 250 = 3 THEN 'failed' WHEN i %% 2000 = 5 THEN 'discarded'
    WHEN i > %(rows)s * 0.994 AND i %% 3 = 0 THEN 'pending'
    WHEN i > %(rows)s * 0.99 AND i %% 5 = 1 THEN 'unconsumed' ELSE 'consumed' END AS state) AS s
CROSS JOIN LATERAL (SELECT CASE state WHEN 'discarded' THEN 'failed' WHEN 'unconsumed' THEN 'sent'
    WHEN 'consumed' THEN 'sent' ELSE state END AS status) AS t
CROSS JOIN LATERAL (SELECT (ARRAY['orders.order_placed', 'orders.order_paid', 'orders.inventory.reserve',
    'orders.payment.charge', 'orders.shipping.create', 'orders.order_shipped'])[1 + i %% 6] AS type,
    ARRAY['ConnectError: [Errno 111] Connection refused', 'KeyError: ''order_id''',
    'PaymentDeclined: the card was refused', 'ReadTimeout: no answer in 3.0 s'] AS errors) AS u
"""
"""Five days of messages: most consumed, some in each other state, as a shop that is busy right now has them."""


def run(lab: Lab, sizes: Sizes) -> Result:
    """Fill the table, then open each page as a signed-in operator does, through the real view, round by round."""
    lab.empty()
    with lab.database() as connection:
        _fill(lab, connection, sizes.history)
        pages = dict(_pages(connection))
    lab.say(f"opening {len(pages)} pages {sizes.rounds} times")
    samples = _measure(pages, sizes.rounds)
    lab.empty()
    slowest = max(samples, key=lambda name: median(samples[name]))
    return Result(
        "admin",
        "ms a page, less is better",
        samples,
        {"ours": slowest},
        less_is_better=True,
        figures={
            "rows": sizes.history,
            "median_ms": {name: tidy(median(times)) for name, times in samples.items()},
            "p95_ms": {name: tidy(percentile(times, 0.95)) for name, times in samples.items()},
        },
        notes=[
            "The whole view in one process: session, permissions, queries, templates; without network and browser.",
            "A search that no index serves stops in time and leads on from there: its page says so.",
        ],
        goals=[Goal(f"ms of the slowest page ({slowest})", median(samples[slowest]), MOST_MS, at_most=True)],
    )


def _fill(lab: Lab, connection: Connection[Any], rows: int) -> None:
    for first in range(1, rows + 1, PART):
        lab.say(f"writing messages: {first - 1:,} of {rows:,}")
        last = min(rows, first + PART - 1)
        connection.execute(FILL, {"first": first, "last": last, "rows": rows})
    connection.execute("VACUUM ANALYZE outbox_message")


def _pages(connection: Connection[Any]) -> Iterator[tuple[str, str]]:
    """What operators open: each by its name."""
    middle = connection.execute(
        "SELECT id, correlation_id FROM outbox_message WHERE id >= uuidv7(interval '-60 hours') ORDER BY id LIMIT 1"
    ).fetchone()
    assert middle is not None
    id_, correlation_id = middle
    queries: dict[str, dict[str, Any]] = {
        "first page": {},
        "page in the middle": {"before": id_},
        **{state: {"state": state} for state in ("pending", "processing", "unconsumed", "consumed", "dead")},
        "type": {"type": "orders.order_paid"},
        "type that is not there": {"type": "nobody.knows"},
        "queue": {"queue": "payment"},
        "last hour": {"age": "1h"},
        "older than a day": {"age": "over1d"},
        "dead, by error": {"state": "dead", "error": "KeyError"},
        "dead, by an error that is not there": {"state": "dead", "error": "nowhere"},
        "error that is not there": {"error": "nowhere"},
        "correlation id": {"correlation": correlation_id},
        "search for an id": {"q": id_},
        "search for words": {"q": "nowhere at all"},
    }
    yield from ((name, f"{LIST}?{urlencode(query)}") for name, query in queries.items())
    yield "one message", f"{LIST}{id_}/change/"
    for panel in ("messages", "flow", "progress", "failures"):
        yield f"panel: {panel}", f"{PANELS}{panel}/"


def _measure(pages: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each page in each round. One round before is not counted: it fills caches."""
    from django.contrib.auth.models import User
    from django.test import Client, override_settings

    user, _ = User.objects.get_or_create(username="bench", defaults={"is_staff": True, "is_superuser": True})
    samples: dict[str, list[float]] = {name: [] for name in pages}
    with override_settings(STORAGES=STORAGE):
        client = Client(headers={"host": "localhost"})
        client.force_login(user)
        for number in range(rounds + 1):
            for name, url in pages.items():
                before = time.perf_counter()
                answer = client.get(url)
                if answer.status_code != 200:
                    raise RuntimeError(f"{url} answered {answer.status_code}.")
                if number:
                    samples[name].append((time.perf_counter() - before) * 1000)
    return samples
