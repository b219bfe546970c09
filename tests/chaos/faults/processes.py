"""Processes die, freeze, see wrong clocks, or are there twice."""

from __future__ import annotations

import os
import signal
import time

from tests.chaos.fault import Fault
from tests.chaos.stack import CLOCK, Stack

HOUR = 3600
POINTS = {
    "before-call": "before it calls outside",
    "after-call": "after the call outside and before its record",
    "after-record": "after the record, before the broker is told",
    "in-compensation": "in the middle of a compensation",
}
FROZEN = 9.0
"""Seconds: longer than a step's lease and a round of the watchdog."""


def with_everything(stack: Stack) -> None:
    """Also a relay and the web."""
    stack.usual()
    stack.relay()
    stack.web()


def kill_any(stack: Stack) -> int:
    """SIGKILL to a pool's process, or to a whole worker, relay, beat, web."""
    victim = stack.random.choice(["child", "child", "worker", "dispatch", "relay", "beat", "web"])
    return stack.kill_child() if victim == "child" else stack.replace(victim)


def dying_at(point: str) -> Fault:
    """A worker's processes kill themselves at a named point of an attempt."""
    env = {"CHAOS_POINT": point, "CHAOS_CHANCE": "0.2" if point == "in-compensation" else "0.1"}
    return Fault(
        f"crash-{point}",
        f"a worker's process kills itself {POINTS[point]}",
        start=lambda stack: stack.usual(**env),
        unlucky=0.5 if point == "in-compensation" else 0.25,
    )


def slow_outside(stack: Stack) -> None:
    """Steps that take a moment, so that a freeze meets them in the middle."""
    stack.usual()
    for service in ("payment", "shipping"):
        stack.outside.set_faults(service, latency_ms=300)


def freeze_a_worker(stack: Stack) -> int:
    """SIGSTOP to a worker and its pool for longer than its leases; it wakes up and goes on."""
    process, _ = stack.roles["worker"][stack.pick("worker")]
    os.killpg(process.popen.pid, signal.SIGSTOP)
    time.sleep(FROZEN)
    os.killpg(process.popen.pid, signal.SIGCONT)
    return 1


def with_wrong_clocks(stack: Stack) -> None:
    """One worker an hour ahead and one an hour behind, beside a right one; so has delivery."""
    for offset in (HOUR, -HOUR, 0):
        stack.steps(**_clock(offset))
        stack.dispatch(**_clock(offset))
    stack.beat()


def replace_a_worker(stack: Stack) -> int:
    """So that its messages come to one with another clock."""
    return stack.replace("worker")


def with_doubles(stack: Stack) -> None:
    """Two beats, three relays, two watchdogs."""
    stack.usual()
    stack.beat()
    stack.dispatch()
    for _ in range(3):
        stack.relay()


def kill_one_of_each(stack: Stack) -> int:
    """A beat, a relay, a watchdog."""
    return sum(stack.replace(role) for role in ("beat", "relay", "dispatch"))


def _clock(offset: float) -> dict[str, str]:
    return {"PYTHONPATH": str(CLOCK), "CHAOS_CLOCK": str(offset)} if offset else {}


FAULTS = [
    Fault("kill", "SIGKILL to a pool's process, a worker, relay, beat, web", kill_any, with_everything),
    *(dying_at(point) for point in POINTS),
    Fault(
        "zombie",
        "a worker is frozen beyond its leases, then woken",
        freeze_a_worker,
        slow_outside,
        times=4,
        refuses=True,
    ),
    Fault(
        "clocks",
        "one worker's clock is an hour ahead, another's an hour behind",
        replace_a_worker,
        with_wrong_clocks,
        times=3,
        pause=(4.0, 8.0),
    ),
    Fault(
        "doubles",
        "two beats, three relays, two watchdogs: one of each is killed",
        kill_one_of_each,
        with_doubles,
        times=4,
        pause=(3.0, 6.0),
    ),
]
