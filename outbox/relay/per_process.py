"""Things of which a process has one, made when first asked for: threads, which do not survive a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Holds one object for this process; a forked child makes its own.

    Args:
        make: makes the object.
        is_alive: whether the object still serves; if not, the next one to ask gets a new one.
    """

    def __init__(self, make: Callable[[], T], is_alive: Callable[[T], bool]) -> None:
        self._make = make
        self._is_alive = is_alive
        self._lock = threading.Lock()
        self._object: T | None = None
        os.register_at_fork(after_in_child=self._forget)

    def get(self) -> T:
        """The object of this process. Safe to call from any thread."""
        with self._lock:
            if self._object is None or not self._is_alive(self._object):
                self._object = self._make()
            return self._object

    @property
    def made(self) -> T | None:
        """The object of this process, if one was made."""
        return self._object

    def _forget(self) -> None:
        """The lock is new, too: another thread of the parent may have held it at the moment of the fork."""
        self._lock = threading.Lock()
        self._object = None
