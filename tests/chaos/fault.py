"""What a fault is: how its stack is started, what is done to it again and again, and what must have come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.chaos.stack import Stack


def nothing(_: Stack) -> int:
    """The processes bring it about themselves, and note it."""
    return 0


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Args:
        name: on the command line.
        what: in words.
        inject: does it once; returns how often it has hit. Those that last return when they are over.
        start: starts the processes.
        heal: ends what may still be broken when enough has been injected.
        pause: seconds between two injections, from and to.
        times: how many injections there are at most.
        unlucky: share of the orders that cannot be fulfilled, so that they are compensated.
        declines: whether orders that could be fulfilled may end cancelled, too.
        refuses: whether a run in which nothing was refused has proved nothing.
        parks: whether some sagas may end with a person.
        doubts: says what a run of just this fault has not proved.
    """

    name: str
    what: str
    inject: Callable[[Stack], int] = nothing
    start: Callable[[Stack], None] = Stack.usual
    heal: Callable[[Stack], object] = nothing
    pause: tuple[float, float] = (1.0, 3.0)
    times: int = 10
    unlucky: float = 0.25
    declines: bool = False
    refuses: bool = False
    parks: bool = False
    doubts: Callable[[], Iterable[str]] = tuple
