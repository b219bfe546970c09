"""The smallest deployment: the relay as a background thread of the process that publishes."""

from __future__ import annotations

import os
import threading

from outbox.relay.engine import Relay
from outbox.relay.loop import Loop


class RelayThread:
    """A relay's loop in a daemon thread. Polls from its start on, so what others committed is sent, too."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = Loop(Relay(name=f"thread@{os.getpid()}"))
        self.thread = threading.Thread(target=self.loop.run, name="outbox-relay", daemon=True)
        self.thread.start()

    def wake(self) -> None:
        """There is news."""
        self.loop.wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Finish the batch in hand and end the thread, waiting up to ``timeout`` seconds."""
        self.loop.stop()
        self.thread.join(timeout)


_current: RelayThread | None = None
_lock = threading.Lock()


def _after_fork() -> None:
    """The lock may have been held by another thread of the parent at the moment of the fork."""
    global _lock, _current
    _lock, _current = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)


def relay_thread() -> RelayThread:
    """This process's relay thread, started at the first call (and again in a forked child)."""
    global _current  # noqa: PLW0603  (one per process by intent)
    with _lock:
        if _current is None or _current.pid != os.getpid() or not _current.thread.is_alive():
            _current = RelayThread()
        return _current
