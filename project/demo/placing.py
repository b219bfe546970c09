"""Placing many orders: a few customers at once, at a given rate."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self
from uuid import UUID

from project.demo.shop import Shop

CUSTOMERS = 4  # orders being placed at the same time, at most
MOST_PRODUCTS, MOST_OF_ONE = 3, 2


def baskets(skus: Sequence[str], count: int, seed: int | None) -> list[dict[str, int]]:
    """Choose `count` baskets of one to three products at random; the same ones for the same seed and SKUs."""
    dice = random.Random(seed)  # noqa: S311 - repeatable luck is wanted, nothing secret hangs on it
    most = min(MOST_PRODUCTS, len(skus))
    return [
        {sku: dice.randint(1, MOST_OF_ONE) for sku in dice.sample(skus, dice.randint(1, most))}
        for _ in range(count)
    ]


class Placing:
    """Places orders in background threads while the block runs; leaving the block calls off what is left."""

    def __init__(
        self, shop: Shop, baskets: Sequence[Mapping[str, int]], rate: float | None, stopping: threading.Event
    ) -> None:
        """`rate`: orders per second, None for no limit; `stopping` is set when the block is left."""
        self._shop = shop
        self._baskets = baskets
        self._rate = rate
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(CUSTOMERS, thread_name_prefix="customer")
        self._futures: list[Future[UUID]] = []

    def __enter__(self) -> Self:
        begin = time.monotonic()
        for number, basket in enumerate(self._baskets):
            due = begin + number / self._rate if self._rate else begin
            self._futures.append(self._pool.submit(self._place, basket, due))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    @property
    def placed(self) -> list[UUID]:
        """The ids of the orders placed so far. Raises DemoError when one could not be placed."""
        return [future.result() for future in self._futures if future.done()]

    def _place(self, basket: Mapping[str, int], due: float) -> UUID:
        self._stopping.wait(max(0.0, due - time.monotonic()))
        return self._shop.order(basket)
