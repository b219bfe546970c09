"""The smallest deployment: the relay as a background thread of the process that publishes."""

from __future__ import annotations

import os
import threading

from outbox.relay.engine import Relay
from outbox.relay.loop import Loop
from outbox.relay.per_process import PerProcess


class RelayThread:
    """A relay's loop in a daemon thread. Polls from its start on, so what others committed is sent, too."""

    def __init__(self) -> None:
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


_relay_thread = PerProcess(RelayThread, lambda relay: relay.thread.is_alive())


def relay_thread() -> RelayThread:
    """This process's relay thread, started at the first call (and again in a forked child)."""
    return _relay_thread.get()
