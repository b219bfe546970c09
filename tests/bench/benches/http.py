"""``http``: orders are taken while payment is down, beside a view that does all the work in the request."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.bench.lab import Lab
from tests.bench.load import Answers, post_steadily
from tests.bench.meter import Meter
from tests.bench.result import Goal, Result, percentile, tidy
from tests.bench.shop import SKUS, open_shop, start_default, start_sandbox, start_web
from tests.bench.sizes import Sizes

OURS, SYNC = "POST /api/orders, payment down", "all in the request, payment takes 2 s"
SLOW_MS = 2000
WARM_UP = 40
SHARE = 1 / 25
"""Of the rate, for the synchronous view: more than its connections allow would only measure a queue."""


@dataclass(frozen=True)
class Round:
    """What one round has found; CPU in microseconds for each request, by what took it."""

    ours: Answers
    sync: Answers
    cpu_us: dict[str, float]


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round, on a freshly started shop: the synchronous view with a slow payment provider; then the API
    with payment down, at the full rate."""
    rounds = []
    for number in range(sizes.rounds):
        lab.say(f"round {number + 1} of {sizes.rounds}: {sizes.seconds:g} s each")
        rounds.append(_round(lab, sizes))
        lab.end()
    return _result(sizes, rounds)


def _round(lab: Lab, sizes: Sizes) -> Round:
    from orders.services.api_keys import issue

    key = issue(open_shop(lab), "bench")
    with start_sandbox(lab) as sandbox:
        background = start_default(lab)
        url = start_web(lab, OUTBOX_WAKE_UP="direct,task")
        for path in ("/bench/orders", "/api/orders"):
            post_steadily(url + path, _body(), key, rate=sizes.rate, seconds=0.1, warm_up=WARM_UP)
        sandbox.set_faults("payment", latency_ms=SLOW_MS)
        body, slow = _body(), max(1.0, sizes.rate * SHARE)
        sync = post_steadily(f"{url}/bench/orders", body, key, rate=slow, seconds=sizes.seconds)
        sandbox.set_faults("payment", down=True)
        meter = Meter(lab.trees(web=lab.processes[-1:], background=background))
        ours = post_steadily(f"{url}/api/orders", body, key, rate=sizes.rate, seconds=sizes.seconds)
    return Round(ours, sync, {name: s * 1e6 / len(ours.seconds) for name, s in meter.used().items()})


def _body() -> dict[str, Any]:
    from tests.harness.shop import BERLIN, GOOD_CARD

    return {"lines": [{"sku": SKUS[0], "quantity": 1}], "delivery": vars(BERLIN), "card": GOOD_CARD}


def _result(sizes: Sizes, done: list[Round]) -> Result:
    found = {OURS: [one.ours for one in done], SYNC: [one.sync for one in done]}
    every = {name: [s * 1000 for one in rounds for s in one.seconds] for name, rounds in found.items()}
    errors = {name: sum(one.errors for one in rounds) for name, rounds in found.items()}
    return Result(
        "http",
        "ms, p50",
        {name: [median(one.seconds) * 1000 for one in rounds] for name, rounds in found.items()},
        {"ours": OURS, "other": SYNC},
        less_is_better=True,
        cpu={OURS: {name: median(one.cpu_us[name] for one in done) for name in done[0].cpu_us}},
        figures={
            name: {
                "p50": tidy(median(values)),
                "p99": tidy(percentile(values, 0.99)),
                "p99_of_each_round": [tidy(percentile(one.seconds, 0.99) * 1000) for one in found[name]],
                "max": tidy(max(values)),
                "requests": len(values),
                "errors": errors[name],
                "sent_late_ms": tidy(max(one.late for one in found[name]) * 1000),
                "requests_per_s": sizes.rate if name == OURS else max(1.0, sizes.rate * SHARE),
            }
            for name, values in every.items()
        },
        notes=[
            "Latency counts from when a request was due. Web, workers, beat, sandbox, PostgreSQL, Valkey and the "
            "load generator share the cores. Workers and beat run with the lower priority that the stack gives them, "
            "and go on reserving stock and sending letters. CPU is per request, while they come.",
            "The synchronous view gets a twenty-fifth of the rate: with two seconds for each, the threads that serve "
            "requests could not take a tenth.",
        ],
        goals=[
            Goal("ms, p99", percentile(every[OURS], 0.99), 50, at_most=True),
            Goal("errors", errors[OURS], 0, at_most=True),
        ],
    )
