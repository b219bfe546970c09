"""``http``: orders are taken while payment is down, beside a view that does all the work in the request."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Any

from tests.bench.lab import Lab
from tests.bench.load import Answers, post_steadily
from tests.bench.result import Goal, Result, percentile, tidy
from tests.bench.shop import SKUS, granian, open_shop, start_default, start_sandbox
from tests.bench.sizes import Sizes
from tests.harness.processes import answers, free_port
from tests.harness.waiting import wait_until

OURS, SYNC = "POST /api/orders, payment down", "all in the request, payment takes 2 s"
SLOW_MS = 2000
WARM_UP = 20
SHARE = 1 / 25
"""Of the rate, for the synchronous view: more than its connections allow would only measure a queue."""


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round, on a freshly started shop: the synchronous view with a slow payment provider; then the API
    with payment down, at the full rate."""
    found: dict[str, list[Answers]] = defaultdict(list)
    for number in range(sizes.rounds):
        lab.say(f"round {number + 1} of {sizes.rounds}: {sizes.seconds:g} s each")
        for name, several in _round(lab, sizes).items():
            found[name].append(several)
        lab.end()
    return _result(sizes, found)


def _round(lab: Lab, sizes: Sizes) -> dict[str, Answers]:
    from orders.services.api_keys import issue

    key = issue(open_shop(lab), "bench")
    with start_sandbox(lab) as sandbox:
        start_default(lab)
        url = f"http://127.0.0.1:{(port := free_port())}"
        granian(
            lab,
            "web",
            "asginl",
            "project.asgi:application",
            port,
            DATABASE_POOL_SIZE="10",
            OUTBOX_WAKE_UP="task",
        )
        wait_until(lambda: answers(f"{url}/healthz"), "the shop to answer")
        for path in ("/bench/orders", "/api/orders"):
            post_steadily(url + path, _body(), key, rate=sizes.rate, seconds=0.1, warm_up=WARM_UP)
        sandbox.set_faults("payment", latency_ms=SLOW_MS)
        body, slow = _body(), max(1.0, sizes.rate * SHARE)
        sync = post_steadily(f"{url}/bench/orders", body, key, rate=slow, seconds=sizes.seconds)
        sandbox.set_faults("payment", down=True)
        ours = post_steadily(f"{url}/api/orders", body, key, rate=sizes.rate, seconds=sizes.seconds)
    return {OURS: ours, SYNC: sync}


def _body() -> dict[str, Any]:
    from tests.harness.shop import BERLIN, GOOD_CARD

    return {"lines": [{"sku": SKUS[0], "quantity": 1}], "delivery": vars(BERLIN), "card": GOOD_CARD}


def _result(sizes: Sizes, found: dict[str, list[Answers]]) -> Result:
    every = {name: [s * 1000 for one in rounds for s in one.seconds] for name, rounds in found.items()}
    errors = {name: sum(one.errors for one in rounds) for name, rounds in found.items()}
    return Result(
        "http",
        "ms, p50",
        {name: [median(one.seconds) * 1000 for one in rounds] for name, rounds in found.items()},
        {"ours": OURS, "other": SYNC},
        less_is_better=True,
        figures={
            name: {
                "p50": tidy(median(values)),
                "p99": tidy(percentile(values, 0.99)),
                "max": tidy(max(values)),
                "requests": len(values),
                "errors": errors[name],
                "requests_per_s": sizes.rate if name == OURS else max(1.0, sizes.rate * SHARE),
            }
            for name, values in every.items()
        },
        notes=[
            "Latency counts from when a request was due. Web, workers, beat, sandbox, PostgreSQL, Valkey and the "
            "load generator share the cores, and the workers keep trying the orders that wait for payment.",
            "The synchronous view gets a twenty-fifth of the rate: with ten database connections and two seconds "
            "each it could not take a tenth.",
        ],
        goals=[
            Goal("ms, p99", percentile(every[OURS], 0.99), 50, at_most=True),
            Goal("errors", errors[OURS], 0, at_most=True),
        ],
    )
