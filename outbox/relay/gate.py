"""Between claim and send: which messages may go now, as the operators' pauses and rate limits have it.

What is configured is read at most once a second, so an operator's word counts after a second at the latest. With
nothing configured a batch costs nothing here.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.models.functions import Now

from outbox import known
from outbox.claims import Claimed
from outbox.conf import conf
from outbox.models import Pause, RateLimit
from outbox.relay.bucket import Bucket, take

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds for which pauses and limits are remembered."""
TRIES = 20
"""How often a relay tries to change a bucket that others change at the same time. Each failure is another's success."""
SHORTEST_PAUSE = 0.01
"""Seconds that a relay rests between two looks at a line, at least."""


class Admission(NamedTuple):
    """What may become of a batch."""

    admitted: Sequence[Claimed]
    """To be sent now."""
    held: dict[UUID, list[UUID]]
    """Ids of messages by the id of the pause that holds them: for :func:`outbox.claims.hold`."""
    deferred: list[tuple[UUID, float]]
    """Ids of messages and the seconds to their slot: for :func:`outbox.claims.defer`."""


class Gate:
    """A relay's view of pauses and limits. Not for use by several threads at once: give each relay its own.

    Args:
        clock: a monotonic clock in seconds. It only decides when to read again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_look = float("-inf")
        self._pauses: dict[tuple[str, str], UUID] = {}
        self._limits: dict[str, float] = {}
        self._queues: dict[tuple[str, str], str] = {}

    def admit(self, messages: Sequence[Claimed]) -> Admission:
        """Decide over a claimed batch, and take the tokens of those that may go.

        Not guaranteed: that a message which is admitted is sent. Its token is spent, which errs on the slow side.
        """
        self._look()
        if not messages or not (self._pauses or self._limits):
            return Admission(messages, {}, [])
        free, held = self._sort_out(messages)
        deferred = self._line_up(free) if self._limits else {}
        return Admission([m for m in free if m.id not in deferred], held, list(deferred.items()))

    @property
    def patience(self) -> float:
        """Seconds after which a relay should look for due messages again, though nobody wakes it.

        Half of what fills the bucket of a limited type that has a line: then no token overflows, and the type reaches
        its rate. Infinite without a line.
        """
        return max(SHORTEST_PAUSE, min(self._limits.values(), default=float("inf")))

    def forget(self) -> None:
        """Read pauses and limits again next time: they have changed."""
        self._next_look = float("-inf")

    def _look(self) -> None:
        if self._clock() < self._next_look:
            return
        rows = Pause.objects.using(conf().DATABASE).values_list("scope", "value", "id")
        self._pauses = {(scope, value): id_ for scope, value, id_ in rows}
        limits = RateLimit.objects.using(conf().DATABASE).annotate(now=Now())
        self._limits = {
            limit.type: limit.burst / limit.per_second / 2 if limit.last_slot_at > limit.now else float("inf")
            for limit in limits
        }
        self._queues.clear()
        self._next_look = self._clock() + LOOK_EVERY

    def _sort_out(self, messages: Sequence[Claimed]) -> tuple[list[Claimed], dict[UUID, list[UUID]]]:
        free: list[Claimed] = []
        held: dict[UUID, list[UUID]] = defaultdict(list)
        for message in messages:
            pause = self._pause_of(message) if self._pauses else None
            if pause is None:
                free.append(message)
            else:
                held[pause].append(message.id)
        return free, dict(held)

    def _pause_of(self, message: Claimed) -> UUID | None:
        names = (("type", message.type), ("queue", self._queue_of(message)), ("key", message.key))
        return next((self._pauses[name] for name in names if name in self._pauses), None)

    def _queue_of(self, message: Claimed) -> str:
        sort = (message.type, message.consumer)
        if not message.queue and sort not in self._queues:
            self._queues[sort] = known.default_queue(*sort)
        return message.queue or self._queues[sort]

    def _line_up(self, messages: Sequence[Claimed]) -> dict[UUID, float]:
        """Those that found no token, with the seconds to their slot."""
        limited: dict[str, list[Claimed]] = defaultdict(list)
        for message in messages:
            if message.type in self._limits:
                limited[message.type].append(message)
        deferred: dict[UUID, float] = {}
        for type_, rows in limited.items():
            # Ids begin with the time: of equals, the older message goes first.
            rows.sort(key=lambda m: (not m.waited, m.priority, m.id))
            delays = take_tokens(type_, [row.waited for row in rows])
            deferred |= {row.id: delay for row, delay in zip(rows, delays, strict=True) if delay is not None}
        return deferred


def take_tokens(type_: str, waited: Sequence[bool]) -> list[float | None]:
    """Take tokens of a type's limit for so many messages: of each the seconds to its slot, ``None`` if it may go.

    Two statements: read, and change what is still as it was read (``refilled_at`` never has a value twice). So no lock
    is held between them, and a relay that hangs here keeps nobody waiting.
    """
    limits = RateLimit.objects.using(conf().DATABASE).filter(pk=type_)
    for _ in range(TRIES):
        row = limits.annotate(now=Now()).first()
        if row is None:
            return [None] * len(waited)  # lifted this moment
        slots = (row.last_slot_at, row.last_return_at)
        before = Bucket(row.per_second, row.burst, row.tokens, row.refilled_at, *slots)
        after, delays = take(before, row.now, waited)
        if limits.filter(refilled_at=before.refilled_at).update(
            tokens=after.tokens,
            refilled_at=after.refilled_at,
            last_slot_at=after.last_slot_at,
            last_return_at=after.last_return_at,
        ):
            return delays
    logger.warning("The limit of %s is changed so often that %s messages wait a second", type_, len(waited))
    return [1.0] * len(waited)
