"""One demonstration beside a running stack. Needs Django to be set up for that stack."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from rich.console import Console

from orders.sandbox.client import SandboxClient
from outbox.audit import findings
from project.demo.display import Display
from project.demo.errors import DemoError
from project.demo.faults import FaultInjection
from project.demo.options import Options
from project.demo.placing import Placing, baskets
from project.demo.report import Outcome
from project.demo.shop import Shop
from project.demo.standing import Standing, reasons, seconds_to_shipped, standing_of, unended
from project.stack import RunInfo

LOOK_EVERY = 0.2  # seconds between two looks at the orders
SECOND_LOOK = 2.0  # seconds after which the audit looks again at what it found
UNENDED_NAMED = 10


def run(options: Options, info: RunInfo, console: Console, warn: Callable[[str], None]) -> Outcome:
    """Place the orders, follow them to their end, and judge. `console` shows the progress.

    Raises DemoError, SandboxError or django.db.Error when the stack does not play along.
    """
    if "TODOKE_API_KEY" not in info.env:
        raise DemoError("The running stack is of an earlier version. Start it again.")
    stopping = threading.Event()
    with (
        SandboxClient(info.urls["sandbox"], info.env["SANDBOX_TOKEN"]) as sandbox,
        Shop(info.urls["shop"], info.env["TODOKE_API_KEY"], stopping) as shop,
    ):
        chosen = baskets(shop.skus(), options.orders, options.seed)
        with (
            FaultInjection(sandbox, options.faults, options.seed, warn) as faults,
            Placing(shop, chosen, options.rate, stopping) as placing,
            Display(console, options.orders) as display,
        ):
            ids = _follow(placing, faults, display, options)
    _tell_unended(ids, options.orders, warn)
    return Outcome(
        options.orders, standing_of(ids), seconds_to_shipped(ids), _confirmed_findings(), reasons(ids)
    )


def _follow(placing: Placing, faults: FaultInjection, display: Display, options: Options) -> list[UUID]:
    """Show how the orders stand until all have ended or the time is over; return those placed."""
    deadline = time.monotonic() + options.timeout
    while True:
        ids = placing.placed
        standing = standing_of(ids) if ids else Standing()
        display.show(standing)
        if standing.ended == options.orders or time.monotonic() > deadline:
            return ids
        faults.lift_due()
        time.sleep(LOOK_EVERY)


def _tell_unended(ids: Sequence[UUID], orders: int, warn: Callable[[str], None]) -> None:
    if len(ids) < orders:
        warn(f"The time is over, and {orders - len(ids)} orders are not placed.")
    left = unended(ids)
    if left:
        named = ", ".join(
            f"{order.number} ({order.get_status_display().lower()})" for order in left[:UNENDED_NAMED]
        )
        more = f" and {len(left) - UNENDED_NAMED} more" if len(left) > UNENDED_NAMED else ""
        warn(f"The time is over, and {len(left)} of the orders have not ended: {named}{more}")


def _confirmed_findings() -> list[str]:
    """What the audit finds twice.

    It reads one table after the other. On a stack that others use too, an order that moves on in between
    looks wrong for a moment; what is wrong indeed is still so a little later.
    """
    found = findings()
    if found:
        time.sleep(SECOND_LOOK)
        again = set(findings())
        found = [finding for finding in found if finding in again]
    return found
