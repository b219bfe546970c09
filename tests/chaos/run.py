"""One run: orders are placed, the fault is injected again and again, the end is awaited, the judges speak."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from django.db import connection

from outbox.database import DATABASE_AWAY
from tests.chaos.fault import Fault
from tests.chaos.report import Report
from tests.chaos.stack import Stack

T = TypeVar("T")

RATE = 6.0
"""Orders placed in a second."""
ORDER_TAKES = 0.05
"""Seconds, where nothing is broken."""
MOST = 10
"""Times as many orders as asked for, at most, when the faults take longer than the orders."""


class Injecting(threading.Thread):
    """Injects a fault until it is told to stop, or has done so often enough; then heals."""

    def __init__(self, fault: Fault, stack: Stack) -> None:
        super().__init__(name=fault.name, daemon=True)
        self.fault = fault
        self.stack = stack
        self.over = threading.Event()
        self.begun = threading.Event()
        """The first injection is over."""
        self.placed = threading.Event()
        """An order has just been placed."""
        self.times: list[datetime] = []
        """When each fault that has hit was over."""
        self.error: BaseException | None = None

    def run(self) -> None:
        """Inject, again and again."""
        try:
            for _ in range(max(1, self.fault.times // 3) if self.stack.brief else self.fault.times):
                if self.over.wait(self.stack.random.uniform(*self.fault.pause)):
                    break
                self._wait_for_an_order()
                hits = self.fault.inject(self.stack)
                self.times += [datetime.now(UTC)] * hits
                self.begun.set()
            self.fault.heal(self.stack)
        except BaseException as error:  # noqa: BLE001  (told by whoever waits for it)
            self.error = error
        finally:
            self.begun.set()

    def _wait_for_an_order(self) -> None:
        """Strike while one is under way: it takes less than a tenth of a second."""
        self.placed.clear()
        self.placed.wait(1)
        time.sleep(self.stack.random.uniform(0, ORDER_TAKES))

    def end(self) -> None:
        """No more faults. Raises what went wrong with injecting them."""
        self.over.set()
        self.join()
        if self.error is not None:
            raise self.error


def run(fault: Fault, stack: Stack, *, orders: int, seed: int, patience: float) -> Report:
    """Run a fault.

    Args:
        orders: how many to place, at least: while faults are injected, orders go on coming in.
        patience: seconds that everything may take to end after the last fault.
    """
    from tests.chaos import judge
    from tests.chaos.shop import Shop

    shop = Shop(stack.random, unlucky=fault.unlucky)
    fault.start(stack)
    stack.ready()
    injecting = Injecting(fault, stack)
    injecting.start()
    placed = 0
    while placed < orders or (injecting.is_alive() and placed < orders * MOST):
        if placed == orders * 2 // 3:
            injecting.begun.wait(patience)  # the rest meets whatever the fault has left behind
        insist(lambda number=placed: shop.place(number))
        placed += 1
        injecting.placed.set()
        time.sleep(stack.random.uniform(0, 2 / RATE))
    _await(lambda: insist(shop.has_ended) or not injecting.is_alive(), patience)
    injecting.end()
    ended = _await(lambda: insist(shop.is_idle), patience)
    hits = injecting.times + [datetime.fromtimestamp(at, UTC) for at in stack.noted()]
    return judge.judge(fault, stack, shop, seed=seed, hits=hits, ended=ended)


def insist(work: Callable[[], T]) -> T:
    """Do it, again while the database is away."""
    while True:
        try:
            return work()
        except DATABASE_AWAY:
            with suppress(*DATABASE_AWAY):
                connection.close()
            time.sleep(0.2)


def _await(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.25)
    return True
