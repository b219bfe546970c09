"""The benchmarks there are, and how much each measures."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.sizes import Sizes

if TYPE_CHECKING:
    from tests.bench.lab import Lab
    from tests.bench.result import Result


@dataclass(frozen=True)
class Bench:
    """One benchmark.

    Args:
        name: as on the command line; its module has the same, with underscores.
        what: what it measures, in a line.
        sizes: how much it measures, unless the command line says otherwise.
        tiny: as little as shows that it works.
    """

    name: str
    what: str
    sizes: Sizes
    tiny: Sizes

    @property
    def run(self) -> Callable[[Lab, Sizes], Result]:
        """Its function."""
        module = importlib.import_module(f"tests.bench.benches.{self.name.replace('-', '_')}")
        return module.run  # type: ignore[no-any-return]  # modules are untyped


BENCHES = {
    bench.name: bench
    for bench in (
        Bench(
            "relay",
            "one relay drains a full table: beside another outbox's relay and the bare ceiling",
            Sizes(rounds=3, messages=50_000),
            Sizes(rounds=1, messages=300),
        ),
        Bench(
            "history",
            "the same with millions of old Sent rows in the table",
            Sizes(rounds=5, messages=50_000, history=5_000_000),
            Sizes(rounds=1, messages=300, history=500),
        ),
        Bench(
            "publish",
            "what publishing adds to a transaction (--history: rows written in bulk)",
            Sizes(rounds=5, messages=500, history=20_000),
            Sizes(rounds=1, messages=20, history=100),
        ),
        Bench(
            "latency",
            "from the commit to the task's start, on an idle system",
            Sizes(rounds=5, samples=500),
            Sizes(rounds=1, samples=3),
        ),
        Bench(
            "bloat",
            "the relay's rate while another session holds a snapshot",
            Sizes(rounds=1, messages=20_000, seconds=120),
            Sizes(rounds=1, messages=300, seconds=0.1),
        ),
        Bench(
            "memory",
            "a relay's memory over a million messages",
            Sizes(rounds=1, messages=1_000_000),
            Sizes(rounds=1, messages=1_000),
        ),
        Bench(
            "orders",
            "orders shipped: beside an unsafe chain of plain tasks",
            Sizes(rounds=3, orders=500),
            Sizes(rounds=1, orders=5),
        ),
        Bench(
            "order-latency",
            "from the order to its shipping, on an idle system",
            Sizes(rounds=3, samples=150),
            Sizes(rounds=1, samples=2),
        ),
        Bench(
            "http",
            "POST /api/orders while payment is down: beside a view that does the work in the request",
            Sizes(rounds=3, seconds=10, rate=50),
            Sizes(rounds=1, seconds=0.5, rate=10),
        ),
        Bench(
            "admin",
            "the console's pages with millions of messages",
            Sizes(rounds=5, history=5_000_000),
            Sizes(rounds=1, history=3_000),
        ),
    )
}
