"""Random definitions: steps in a row and side by side, local and remote, waits, pivots, all kinds of policies."""

from __future__ import annotations

import random
from dataclasses import replace

from outbox.api import RetryPolicy
from outbox.saga.api import SagaDefinition, Step, local, parallel, remote, wait_for
from outbox.saga.versions import Migrating
from tests.chaos.simulator.world import NoAnswerError, RefusalError, World

NAME = "simulated.saga"


def definition(dice: random.Random, world: World) -> SagaDefinition:
    """A definition, drawn by the dice."""
    steps: list[Step] = []
    for _ in range(dice.randint(1, 4)):
        steps += _stage(dice, world, len(steps))
    if dice.random() < 0.6:
        steps = _with_pivot(dice, steps)
    return SagaDefinition(
        NAME,
        steps=steps,
        deadline=dice.choice([60.0, 400.0, 10_000.0]),
        on_compensating=world.hook("compensating"),
        on_completed=world.hook("completed"),
        on_compensated=world.hook("compensated"),
        on_parked=world.hook("parked"),
    )


def next_version(old: SagaDefinition, dice: random.Random, world: World) -> SagaDefinition:
    """The same with one more step at the end, to which running sagas are migrated."""
    last = replace(_step(dice, world, "added"), group=())
    return replace(old, steps=[*old.steps, last], version=2, migrations={1: _migrate})


def _migrate(saga: Migrating) -> None:
    saga.context["migrated"] = {"from": 1}


def _stage(dice: random.Random, world: World, first: int) -> list[Step]:
    lot = dice.random()
    if lot < 0.2:
        return [_wait(dice, f"wait{first}")]
    if lot < 0.5:
        members = [_step(dice, world, f"step{first + n}") for n in range(dice.randint(2, 3))]
        if dice.random() < 0.25:
            members[-1] = _wait(dice, f"wait{first}")
        return list(parallel(*members))
    return [_step(dice, world, f"step{first}")]


def _wait(dice: random.Random, name: str) -> Step:
    on_timeout = "go on" if dice.random() < 0.5 else "compensate"
    return wait_for(f"{name}.came", name=name, timeout=dice.choice([20.0, 80.0]), on_timeout=on_timeout)  # type: ignore[arg-type]


def _step(dice: random.Random, world: World, name: str) -> Step:
    is_local = dice.random() < 0.3
    step = Step(
        name,
        action=local(world.act_here) if is_local else remote(world.act_outside, world.record),
        compensation=local(world.undo_here) if is_local else remote(world.undo_outside),
        timeout=dice.choice([10.0, 30.0]),
        retry=RetryPolicy(dice.randint(1, 3), initial=1.0, jitter=0),
        compensation_retry=RetryPolicy(dice.randint(2, 4), initial=1.0, jitter=0),
        non_retryable=(RefusalError,),
    )
    assert NoAnswerError not in step.non_retryable
    if not is_local and dice.random() < 0.5:
        step = replace(step, reconcile=world.reconcile, heartbeat=dice.choice([None, 5.0]))
    return step


def _with_pivot(dice: random.Random, steps: list[Step]) -> list[Step]:
    """One of the steps that stand alone; what follows it need not have an undo."""
    alone = [n for n, step in enumerate(steps) if not step.group and not step.waits_for]
    if not alone:
        return steps
    place = dice.choice(alone)
    made = []
    for n, step in enumerate(steps):
        can_do_without = n >= place and dice.random() < 0.5
        made.append(
            replace(step, pivot=n == place, compensation=None if can_do_without else step.compensation)
        )
    return made
