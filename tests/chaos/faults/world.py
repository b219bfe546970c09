"""The outside services misbehave; and a new version is deployed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.fault import Fault
from tests.chaos.stack import Stack

DOWN = 30.0
SLOW = 10.0
ROUGH = {"error_rate": 0.5, "lost_response_rate": 0.3, "lost_response_hold_ms": 2500, "decline_rate": 0.1}
SERVICES = ("payment", "shipping")


def misbehave(stack: Stack) -> int:
    """Errors, answers that are lost after acting, and declines; on top of it slow for a while, or down."""
    service = stack.random.choice(SERVICES)
    for name in SERVICES:
        stack.outside.set_faults(name, **ROUGH, seed=stack.random.randrange(1000))
    if stack.random.random() < 0.5:
        stack.outside.set_faults(service, **ROUGH, latency_ms=10_000)
        stack.hold(SLOW)
    else:
        stack.outside.set_faults(service, **ROUGH, down=True)
        stack.hold(DOWN)
    stack.outside.set_faults(service, **ROUGH)
    return 1


def behave(stack: Stack) -> None:
    """Errors end; what was declined stays declined."""
    for service in SERVICES:
        stack.outside.set_faults(service, decline_rate=ROUGH["decline_rate"])


def deploy(stack: Stack) -> int:
    """New workers beside the old ones, then the old ones end in order, then new orders have the new version."""
    from tests.chaos import worker

    stack.outside.set_faults("payment", down=True)  # so that what has begun does not end meanwhile
    old = [(role, process) for role in ("worker", "dispatch", "beat") for process, _ in stack.roles.pop(role)]
    stack.usual(CHAOS_VERSION="2")
    stack.ready()
    for _, process in old:
        process.stop(timeout=60)
        stack.processes.remove(process)
    worker.register_next_version()
    stack.outside.reset_faults()
    return 1


def versions_missing() -> Iterator[str]:
    """Sagas of both versions must have come to a good end."""
    from outbox.saga.models import Saga

    for version in (1, 2):
        if not Saga.objects.filter(version=version, status=Saga.Status.COMPLETED).exists():
            yield f"No saga of version {version} was completed."


FAULTS = [
    Fault(
        "outside",
        "50 % errors, lost answers, 10 s latency, down for 30 s, declines",
        misbehave,
        heal=behave,
        times=3,
        declines=True,
        parks=True,
    ),
    Fault(
        "new-version",
        "a new version is deployed while sagas run",
        deploy,
        times=1,
        pause=(1.0, 2.0),
        doubts=versions_missing,
    ),
]
