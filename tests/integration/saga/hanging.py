"""A saga whose step hangs: loaded by the test and by its worker."""

from __future__ import annotations

from threading import Event

from outbox.api import RetryPolicy
from outbox.saga.api import SagaDefinition, Step, StepCall, register, remote

ONCE = RetryPolicy(max_attempts=1)


def hang(_: StepCall) -> None:
    """Wait for something that does not come."""
    Event().wait(60)


def let_go(_: StepCall) -> None:
    """The undo, which does not hang."""


register(
    SagaDefinition(
        "hanging.test",
        steps=[Step("wait", action=remote(hang), compensation=remote(let_go), timeout=1.0, retry=ONCE)],
    )
)
