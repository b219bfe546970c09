"""The broker forgets, stops, hangs, repeats itself."""

from __future__ import annotations

from tests.chaos.fault import Fault
from tests.chaos.stack import Stack

STOPPED, FROZEN = 20.0, 30.0
QUEUES = ("inventory*", "payment*", "shipping*", "default*", "unacked*")


def flush(stack: Stack) -> int:
    """FLUSHALL: everything that was sent and not taken is gone."""
    with stack.broker as broker:
        broker.flushall()
    return 1


def delete_a_queue(stack: Stack) -> int:
    """One list less, when there is one."""
    with stack.broker as broker:
        keys = sorted(key for pattern in QUEUES for key in broker.keys(pattern))
        return int(broker.delete(stack.random.choice(keys))) if keys else 0


def stop(stack: Stack) -> int:
    """Away, with its data kept."""
    stack.servers.valkey.stop()
    stack.hold(STOPPED)
    stack.servers.valkey.start()
    return 1


def freeze(stack: Stack) -> int:
    """SIGSTOP: it takes connections and does not answer."""
    stack.servers.valkey.freeze()
    stack.hold(FROZEN)
    stack.servers.valkey.thaw()
    return 1


def restart_empty(stack: Stack) -> int:
    """Another one in its place, which knows nothing."""
    with stack.broker as broker:
        broker.flushall()
    stack.servers.valkey.restart()
    return 1


def with_copies(stack: Stack) -> None:
    """Relays that send everything three times."""
    stack.usual(CHAOS_COPIES="3")


FAULTS = [
    Fault("broker-flush", "FLUSHALL", flush),
    Fault("broker-queue", "a queue is deleted", delete_a_queue, pause=(0.1, 0.5), times=60),
    Fault("broker-stop", "the broker is stopped for 20 s", stop, times=2, pause=(0.5, 1.5)),
    Fault("broker-freeze", "the broker is frozen (SIGSTOP) for 30 s", freeze, times=2, pause=(0.5, 1.5)),
    Fault("broker-empty", "the broker is restarted, and empty", restart_empty, times=5),
    Fault(
        "duplicates",
        "every message is delivered three times, shuffled, and some again later",
        start=with_copies,
        refuses=True,
    ),
]
