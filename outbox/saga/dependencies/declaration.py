"""What a step's outside service is: how its absence is recognised, and how hard it may be used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from outbox.exceptions import OutboxError

if TYPE_CHECKING:
    from outbox.saga.calls import StepCall

LONGEST_RAMP = 3600.0
"""Seconds."""


@dataclass(frozen=True)
class Breaker:
    """When to leave a service alone, and how to come back to it.

    Args:
        failures: so many in a row, without an answer in between, open it.
        within: seconds; an older failure is forgotten.
        cooldown: seconds of the first pause; each probe that fails doubles it.
        cap: longest pause in seconds. Recovery is noticed within about one and a half of it.
        ramp: seconds after recovery during which the load grows slowly; an hour at most.
        ramp_start: attempts per second at the beginning of the ramp; it doubles each second.
    """

    failures: int = 5
    within: float = 30.0
    cooldown: float = 1.0
    cap: float = 30.0
    ramp: float = 6.0
    ramp_start: float = 5.0

    def ramp_offset(self, ticket: int) -> float:
        """Seconds after recovery at which ticket number ``ticket`` (from 0) may go.

        The rate r(t) = start · 2^t lets (2^t - 1) · start / ln 2 attempts pass until t: this is its inverse.
        """
        return math.log2(1 + ticket * math.log(2) / self.ramp_start)


@dataclass(frozen=True)
class Limit:
    """How hard something may be used; ``None`` is without a bound.

    Args:
        concurrency: attempts at the same time.
        per_second: attempts that begin per second, evenly spread. Those that must wait get a place in the queue.
    """

    concurrency: int | None = None
    per_second: float | None = None


def saga_key(call: StepCall) -> str:
    """The business thing that the saga works on."""
    return call.key


@dataclass(frozen=True)
class Dependency:
    """An outside service, as ``Step(…, dependency=PAYMENT)`` names it; steps may share one.

    It guards the remote work of the step in both directions. An attempt that must wait is not begun, and no try of
    the step is spent.

    Args:
        name: such as ``payment``; all processes that use the name share its breaker and its limits.
        away: errors which say that the service is away: no answer in time, no connection, a server error. A refusal
            is an answer. An attempt that ran out of its own time counts, too.
        concurrency, per_second: limits of the whole service; see :class:`Limit`.
        per_key: limits for each key, such as a merchant's account.
        key: what the key of an attempt is; by default what its saga works on.
        breaker: when to leave the service alone.

    Not guaranteed: the order of those that wait. That nothing reaches a service whose breaker is open: attempts that
    had begun before run to their end.
    """

    name: str
    away: tuple[type[Exception], ...] = (ConnectionError, TimeoutError)
    concurrency: int | None = None
    per_second: float | None = None
    per_key: Limit = Limit()
    key: Callable[[StepCall], str] = saga_key
    breaker: Breaker = field(default_factory=Breaker)

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise OutboxError(f"The dependency {self.name!r} cannot work: {' '.join(problems)}")

    @property
    def whole(self) -> Limit:
        """The limits of the whole service."""
        return Limit(self.concurrency, self.per_second)

    def limits(self, call: StepCall) -> list[tuple[str, Limit]]:
        """What bounds an attempt: keys with their limits, the empty key being the whole service."""
        given = [("", self.whole)]
        if self.per_key != Limit():
            given.append((self.key(call), self.per_key))
        return [(key, limit) for key, limit in given if limit != Limit()]

    def _problems(self) -> list[str]:
        numbers = {
            **{f"breaker.{f.name}": getattr(self.breaker, f.name) for f in fields(self.breaker)},
            "concurrency": self.concurrency,
            "per_second": self.per_second,
            "per_key.concurrency": self.per_key.concurrency,
            "per_key.per_second": self.per_key.per_second,
        }
        problems = [] if 0 < len(self.name) <= 100 else ["Its name must have 1 to 100 characters."]
        if self.breaker.ramp > LONGEST_RAMP:
            problems.append(f"breaker.ramp must be at most {LONGEST_RAMP:g} s, not {self.breaker.ramp!r}.")
        return problems + [
            f"{name} must be greater than zero, not {value!r}."
            for name, value in numbers.items()
            if value is not None and value <= 0
        ]
