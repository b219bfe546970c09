"""What ends a demonstration early."""

from __future__ import annotations

import signal


class DemoError(Exception):
    """The demonstration cannot go on; the message says what to do."""


class Stopped(KeyboardInterrupt):
    """A person or the system asked it to stop, with the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
