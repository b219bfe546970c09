"""Sagas of every kind that the tests of the engine's features use, on top of the world of ``conftest``."""

from __future__ import annotations

from dataclasses import dataclass

from outbox.saga.api import (
    NOT_KNOWN,
    Happened,
    SagaDefinition,
    Step,
    StepCall,
    Verdict,
    local,
    parallel,
    register,
    remote,
    wait_for,
)
from tests.integration.saga.conftest import TWICE, WORLD, Refusal

ANSWERS: list[Happened | Verdict | Exception] = []
"""What the outside world says when it is asked; the last one stays."""


def reconcile(call: StepCall) -> Happened | Verdict:
    """Ask the world."""
    WORLD.calls.append(("ask", call.idempotency_key.split(":", 1)[1]))
    answer = (ANSWERS.pop(0) if len(ANSWERS) > 1 else ANSWERS[0]) if ANSWERS else NOT_KNOWN
    if isinstance(answer, Exception):
        raise answer
    return answer


@dataclass(frozen=True)
class Ticket:
    """The result of a step that declares one."""

    number: int
    seat: str


def _step(name: str, **more: object) -> Step:
    return Step(
        name,
        action=remote(WORLD.work(name)),
        compensation=remote(WORLD.work(f"un{name}")),
        retry=TWICE,
        compensation_retry=TWICE,
        non_retryable=(Refusal,),
        **more,  # type: ignore[arg-type]
    )


HOOKS = {
    "on_compensating": WORLD.hook("compensating"),
    "on_completed": WORLD.hook("completed"),
    "on_compensated": WORLD.hook("compensated"),
    "on_parked": WORLD.hook("parked"),
}

register(
    SagaDefinition(
        "kinds.fork", steps=[_step("open"), *parallel(_step("left"), _step("right")), _step("close")], **HOOKS
    )
)
register(
    SagaDefinition(
        "kinds.wait",
        steps=[
            _step("order"),
            wait_for("goods.arrived", name="goods", timeout=60, result=Ticket),
            _step("thank"),
        ],
        **HOOKS,
    )
)
register(
    SagaDefinition(
        "kinds.optional",
        steps=[
            _step("offer", pivot=True),
            wait_for("wish.made", name="wish", timeout=60, on_timeout="go on"),
            wait_for("sign.given", name="sign", timeout=60),
        ],
        **HOOKS,
    )
)
register(SagaDefinition("kinds.asked", steps=[_step("pay", reconcile=reconcile), _step("send")], **HOOKS))
register(
    SagaDefinition(
        "kinds.typed",
        steps=[
            _step("reserve", result=Ticket),
            Step("print", action=local(WORLD.work("print")), compensation=local(WORLD.work("shred"))),
        ],
        **HOOKS,
    )
)
register(SagaDefinition("kinds.long", steps=[_step("dig", timeout=100.0, heartbeat=10.0)], **HOOKS))
