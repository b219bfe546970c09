"""``order-latency``: from the order to its shipping on an idle system, the whole shop at work."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.bench.lab import Lab
from tests.bench.result import Goal, Result, percentile, tidy
from tests.bench.shop import open_shop, order, start_default, start_sandbox, start_with_relay, wait_until_idle
from tests.bench.sizes import Sizes
from tests.bench.wakeups import waking
from tests.harness.processes import Process

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser
    from psycopg import Connection

RELAY, DEFAULT = "manage.py relay", "beat and wake-up"
TELL_WHEN_SHIPPED = """
CREATE OR REPLACE FUNCTION bench_shipped() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('bench_shipped', NEW.id::text); RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER bench_shipped AFTER UPDATE OF status ON orders_order
FOR EACH ROW WHEN (NEW.status = 'shipped') EXECUTE FUNCTION bench_shipped();
LISTEN bench_shipped;
"""
"""PostgreSQL tells with the commit. Asking again and again took a fifth of a core from what is measured."""
TELL_NO_MORE = "DROP FUNCTION bench_shipped CASCADE"
PATIENCE = 60.0
WARM_UP = 3


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round: single orders with a relay process, then with the default; processes are started for each."""
    ways: dict[str, tuple[Callable[[Lab], list[Process]], tuple[str, ...]]] = {
        RELAY: (start_with_relay, ("direct", "notify")),
        DEFAULT: (start_default, ("direct", "task")),
    }
    samples: dict[str, list[list[float]]] = defaultdict(list)
    count = max(1, sizes.samples // sizes.rounds)
    for number in range(sizes.rounds):
        for name, (start, wake_up) in ways.items():
            lab.say(f"round {number + 1} of {sizes.rounds}: {name}")
            ada = open_shop(lab)
            with start_sandbox(lab), waking(*wake_up), closing(lab.database()) as watch:
                watch.execute(TELL_WHEN_SHIPPED)
                start(lab)
                each = [_one(lab, watch, ada, n) * 1000 for n in range(count + WARM_UP)]
                samples[name].append(each[WARM_UP:])
                watch.execute(TELL_NO_MORE)
            lab.end()
    every = {name: [value for one in rounds for value in one] for name, rounds in samples.items()}
    return Result(
        "order-latency",
        "ms, p50",
        {name: [median(one) for one in rounds] for name, rounds in samples.items()},
        {"ours": RELAY, "other": DEFAULT},
        less_is_better=True,
        figures={
            name: {
                "p50": tidy(median(values)),
                "p99": tidy(percentile(values, 0.99)),
                "max": tidy(max(values)),
                "samples": len(values),
            }
            for name, values in every.items()
        },
        notes=[
            "From the commit of the order to the commit that ships it, with three steps and two calls outside."
        ],
        goals=[
            Goal("ms, p50", median(every[RELAY]), 60, at_most=True),
            Goal("ms, p99", percentile(every[RELAY], 0.99), 200, at_most=True),
        ],
    )


def _one(lab: Lab, watch: Connection[Any], customer: AbstractUser, number: int) -> float:
    """Seconds from an order's commit to its shipping. What follows it is done before the next one."""
    placed = order(customer, number)
    start = time.monotonic()
    if not any(told.payload == str(placed.pk) for told in watch.notifies(timeout=PATIENCE)):
        raise AssertionError(f"An order was not shipped within {PATIENCE:.0f} s.")
    seconds = time.monotonic() - start
    wait_until_idle(lab)
    time.sleep(random.uniform(0.01, 0.04))
    return seconds
