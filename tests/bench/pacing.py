"""One message at a time on an idle system: when it was committed, and when its task started.

Needs nothing but Python, so that the rival's programs use it, too.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0  # seconds for one message
POLL_SECONDS = 0.0005
IDLE_SECONDS = (0.01, 0.04)


def latencies(publish: Callable[[int], None], times: Path, count: int, *, warm_up: int = 5) -> list[float]:
    """Publish so many messages, each after the one before has started; returns seconds from commit to start.

    Args:
        publish: commits message number n.
        times: the file to which the task appends its number and its time.
        warm_up: messages before these, not counted.
    """
    times.write_text("")
    found = []
    for number in range(count + warm_up):
        publish(number)
        committed = time.time()
        found.append(_started(times, number) - committed)
        time.sleep(random.uniform(*IDLE_SECONDS))
    return found[warm_up:]


def _started(times: Path, number: int) -> float:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for line in reversed(times.read_text().splitlines()):
            found, _, moment = line.partition(" ")
            if int(found) == number:
                return float(moment)
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"Message {number} did not start within {PATIENCE:.0f} s.")
