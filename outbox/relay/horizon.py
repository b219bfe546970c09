"""From where a relay looks for due messages, when dead entries pile up at the start of their index.

A row that was claimed leaves the index of due rows, but its entry stays until vacuum may take it; and it may not while
some session holds an old snapshot. Then every claim wades through all that was claimed since. So when a look from the
start becomes dear, the next ones begin behind the last row of the one before, and the start is looked at again only so
often that it takes a twentieth of the time: for late commits, and for what others gave back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from outbox.claims import Claim, Floors

DEAR = 0.05
"""Seconds from which a look from the start is dear. A claim of a full batch usually takes half of that or less."""
REST = 20.0
"""How many times as long as it took before the start is looked at again."""


class Horizon:
    """Remembers how far a relay has come.

    Args:
        clock: a monotonic clock in seconds. It only measures how long this process's own claims took.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._floors: Floors = {}
        self._next_from_start = 0.0

    def claim(self, take: Callable[[Floors], Claim]) -> Claim:
        """Claim from where it is worth looking.

        Not guaranteed: that it finds a message which became due behind it, as long as looking there is dear.
        """
        began = self._clock()
        from_start = began >= self._next_from_start
        claim = take({} if from_start else self._floors)
        took = self._clock() - began
        if from_start:
            self._next_from_start = began + took * REST if took > DEAR else 0.0
        self._floors = {**self._floors, **claim.last}
        return claim

    def forget(self) -> None:
        """Look from the start next time: something was given back."""
        self._next_from_start = 0.0
