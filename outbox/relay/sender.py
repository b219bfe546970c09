"""A thread that sends: the relay claims and settles meanwhile, and never hangs with the broker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Sender(Generic[T]):
    """Does one thing after the other in a daemon thread, which a process can leave behind when it ends."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[tuple[Callable[[], T], Future[T]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Do it after what was submitted before; the future has its result, or what it raised."""
        future: Future[T] = Future()
        self._work.put((job, future))
        return future

    def close(self) -> None:
        """End the thread after the work at hand. Does not wait."""
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            job, future = item
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001  (whoever waits for the future gets it)
                future.set_exception(error)
