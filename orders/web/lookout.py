"""Looks out for news of orders, for all the open pages of this process at once: one query a second, however many.

No connection to the database is held between two looks. Not guaranteed: that every change is seen by itself; what is
told is how the order is now, and two changes within a second are told as one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connection

from orders.progress import marks_of
from outbox.api import DATABASE_AWAY

logger = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_SECONDS = 1.0


@dataclass(eq=False)
class Watch:
    """Somebody who watches an order.

    Args:
        mark: of the news that they have.
        news: set when there are others.
    """

    order_id: UUID
    customer_id: int
    mark: str
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Lookout:
    """Belongs to one event loop at a time."""

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, watch: Watch) -> Iterator[None]:
        """The watch is told by its ``news`` while the block runs."""
        self.watches.add(watch)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self.watches.discard(watch)

    async def _run(self) -> None:
        while self.watches:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except DATABASE_AWAY as error:
                logger.warning("Open order pages get no news: the database is away (%s).", error)

    async def _look(self) -> None:
        marks = await reading(lambda: marks_of({watch.order_id for watch in self.watches}))
        for watch in self.watches:
            if str(marks.get(watch.order_id, 0)) != watch.mark:
                watch.news.set()


async def reading(read: Callable[[], T]) -> T:
    """Read from the database in a thread, and give the connection back at once: to the pool, where there is one."""

    def read_and_close() -> T:
        try:
            return read()
        finally:
            connection.close()

    return await sync_to_async(read_and_close, thread_sensitive=False)()


lookout = Lookout()
"""This process's."""
