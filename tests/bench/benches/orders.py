"""``orders``: orders shipped a second, beside an unsafe chain of plain tasks that makes the same calls."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.lab import Lab
from tests.bench.meter import Meter
from tests.bench.result import Goal, Result, tidy
from tests.bench.shop import open_shop, order, start_sandbox, start_with_relay, wait_until_idle
from tests.bench.sizes import Sizes
from tests.bench.wakeups import waking

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

SAGA, UNSAFE = "sagas through the outbox", "unsafe Celery chain"
PATIENCE = 600.0
POLL_SECONDS = 0.02
Place = Callable[["AbstractUser", int], object]


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round: so many orders placed and shipped by sagas, then as many by the chain, with the same workers."""
    ada = open_shop(lab)
    with start_sandbox(lab), waking("direct", "notify"):
        worker, relay = start_with_relay(lab)
        (sandbox,) = (process for process in lab.processes if process.name == "sandbox")
        trees = lab.trees(worker=[worker], relay=[relay], sandbox=[sandbox]) | {"placing": [os.getpid()]}
        ways: dict[str, Place] = {SAGA: order, UNSAFE: _place_unsafely}
        for place in ways.values():
            _ship(lab, place, ada, 4)  # connections are made, modules loaded
        rates: dict[str, list[float]] = defaultdict(list)
        idle: dict[str, list[float]] = defaultdict(list)
        cpu: dict[str, list[dict[str, float]]] = defaultdict(list)
        for number in range(sizes.rounds):
            for name, place in ways.items():
                lab.say(f"round {number + 1} of {sizes.rounds}: {name}, {sizes.orders:,} orders")
                meter = Meter(trees)
                shipped, ended = _ship(lab, place, ada, sizes.orders)
                cpu[name].append({tree: s / sizes.orders * 1e6 for tree, s in meter.used().items()})
                rates[name].append(sizes.orders / shipped)
                idle[name].append(sizes.orders / ended)
    lab.end()
    result = Result(
        "orders",
        "orders/s",
        rates,
        {"ours": SAGA, "other": UNSAFE},
        cpu={name: {t: median(one[t] for one in several) for t in trees} for name, several in cpu.items()},
        figures={
            "orders": sizes.orders,
            "orders_per_s_until_all_is_done": {name: tidy(median(values)) for name, values in idle.items()},
        },
        notes=[
            "From the first order placed to the last one shipped: placing, worker (2 processes), relay, sandbox, "
            "PostgreSQL and Valkey on the same cores. Letters and the day's sales are part of the work of both, behind "
            "the steps in both.",
            "CPU is per order, until all is done. The chain has no outbox, no saga, no attempts and no compensation.",
        ],
    )
    result.goals = [Goal("share of the unsafe chain's rate", result.ratio("other") or 0, 0.5)]
    return result


def _place_unsafely(customer: AbstractUser, number: int) -> None:
    from tests.bench.app import unsafe

    unsafe.fulfil_later(order(customer, number, unsafe.place))


def _ship(lab: Lab, place: Place, customer: AbstractUser, count: int) -> tuple[float, float]:
    """Place so many orders; returns seconds until all were shipped, and until all that follows was done, too."""
    from orders.models import Order

    start = time.monotonic()
    for number in range(count):
        place(customer, number)
    going = Order.objects.filter(ended_at=None)
    while going.exists():
        time.sleep(POLL_SECONDS)
        if time.monotonic() - start > PATIENCE:
            raise AssertionError(f"{going.count()} orders were not shipped within {PATIENCE:.0f} s.")
    shipped = time.monotonic() - start
    wait_until_idle(lab)
    unshipped = Order.objects.exclude(status=Order.Status.SHIPPED).count()
    if unshipped:
        raise AssertionError(f"{unshipped} orders ended without being shipped.")
    return shipped, time.monotonic() - start
