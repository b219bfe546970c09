"""New versions of a definition while sagas of the old one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from celery import current_app
from django.db.models.functions import Now

from outbox.audit import findings
from outbox.exceptions import OutboxError, PermanentError
from outbox.models import Message
from outbox.saga import registry
from outbox.saga.api import (
    Migrating,
    SagaDefinition,
    SagaError,
    SagaRefused,
    Step,
    UnknownVersion,
    cancel,
    parallel,
    register,
    remote,
    wait_for,
)
from outbox.saga.models import Saga, SagaStep
from outbox.saga.testing import SagaRun
from outbox.saga.watchdog import sweep
from tests.integration.saga.conftest import WORLD, World, deliver, sent, step

pytestmark = pytest.mark.django_db


def made(name: str, timeout: float = 30.0) -> Step:
    """A step of that name."""
    return Step(
        name, action=remote(WORLD.work(name)), compensation=remote(WORLD.work(f"un{name}")), timeout=timeout
    )


V1 = register(SagaDefinition("versions.test", steps=[made("one"), made("two")]))
V2 = SagaDefinition("versions.test", steps=[made("one", 90.0), made("zwei"), made("three")], version=2)


def migrate(saga: Migrating) -> None:
    """The second step has another name; the context a new member."""
    saga.rename("two", "zwei")
    saga.context["from"] = saga.key


@contextmanager
def deployed(definition: SagaDefinition, *, instead_of: SagaDefinition | None = None) -> Iterator[None]:
    """Another version is in use."""
    if instead_of:
        registry.remove(instead_of)
    register(definition)
    try:
        yield
    finally:
        registry.remove(definition)
        if instead_of:
            registry.add(instead_of)


def test_running_sagas_finish_on_their_own_version(world: World) -> None:
    """Both are registered: what runs goes on as it began, what starts is of the newest; tasks are shared."""
    old = SagaRun.start("versions.test", "v-1")
    old.step()
    with deployed(V2):
        new = SagaRun.start("versions.test", "v-2")
        assert (old.saga.version, new.saga.version) == (1, 2)
        assert (old.to_end(), new.to_end()) == ("completed", "completed")
        assert current_app.tasks["versions.one.one"].soft_time_limit == 90.0
    assert (old.steps, new.steps) == (["one", "two"], ["one", "zwei", "three"])


def test_running_sagas_are_migrated_where_the_new_version_says_how(world: World) -> None:
    """In the next transaction on them: the rows, the context, and the command that waits."""
    old = SagaRun.start("versions.test", "v-3")
    old.step()
    with deployed(replace(V2, migrations={1: migrate}), instead_of=V1):
        assert sweep().migrated == 1
        assert sweep().migrated == 0
        assert old.rows == {"one": "succeeded", "zwei": "scheduled"}
        assert old.to_end() == "completed"
    assert old.steps == ["one", "zwei", "three"]
    assert old.context["from"] == "v-3"
    assert "migrated" in old.history
    assert Message.objects.get(type="versions.two.two").discarded_at
    assert findings() == []


def test_a_version_that_nobody_knows_is_parked_and_said_so(world: World) -> None:
    """Not at once: while versions are deployed another process may know it."""
    old = SagaRun.start("versions.test", "v-4")
    with deployed(V2, instead_of=V1):
        with pytest.raises(SagaRefused, match="Version 1"):
            cancel(old.id, actor="ada", reason="x")
        Saga.objects.update(deadline_at=Now() - timedelta(seconds=1))
        assert sweep().past_deadline == 0
        Saga.objects.update(deadline_at=Now() - timedelta(hours=1))
        assert sweep().past_deadline == 1
        assert old.status == "needs_attention"
        assert "Version 1 of the saga 'versions.test' is not registered" in old.saga.attention


@pytest.mark.django_db(transaction=True)
def test_a_command_of_an_unknown_version_comes_again_for_some_minutes(world: World) -> None:
    """Then it waits for a person as a Failed message, and the watchdog parks the saga."""
    SagaRun.start("versions.test", "v-5")
    with deployed(V2, instead_of=V1):
        (message,) = sent()
        assert isinstance(deliver(message), UnknownVersion)
        assert Message.objects.get().status == "pending"
        for _ in range(6):
            step()
        assert isinstance(step()[0], PermanentError)
        assert Message.objects.get().status == "failed"
        SagaStep.objects.update(scheduled_at=Now() - timedelta(hours=1))
        assert sweep().orphaned == 1


def test_a_context_of_an_older_shape_is_upgraded(world: World) -> None:
    """Once, in the next transaction on the saga; its version is in the row."""
    old = SagaRun.start("versions.test", "v-6")
    old.step()

    def upgrade(context: dict[str, object]) -> dict[str, object]:
        return {**context, "upgraded": True}

    with deployed(replace(V1, context_version=2, upgrades={1: upgrade}), instead_of=V1):
        old.step()
        assert (old.saga.context_version, old.context["upgraded"]) == (2, True)


def test_the_same_version_twice_is_a_mistake() -> None:
    """Which of the two is meant, nobody knows."""
    with pytest.raises(SagaError, match="registered twice in version 1"):
        register(V1)


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"steps": []}, "It has no steps"),
        ({"steps": [made("a"), made("a")]}, "same name"),
        ({"steps": [Step("a")]}, "needs an action, or an event"),
        ({"steps": [Step("a", action=remote(WORLD.work("x")))]}, "has no compensation"),
        ({"steps": [*parallel(made("a"), replace(made("b"), pivot=True))]}, "has steps beside it"),
        ({"steps": [made("a")], "migrations": {1: migrate}}, "not before its own version 1"),
        ({"steps": [replace(made("a"), compensation=made("a").action)]}, "both 'a'"),
        ({"steps": [wait_for("x", timeout=0)]}, "above zero"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_at_boot(definition: dict[str, object], words: str) -> None:
    """In words that say what is wrong, with the saga's name."""
    with pytest.raises(OutboxError, match=words) as refused:
        SagaDefinition("wrong.saga", **definition)  # type: ignore[arg-type]
    assert "'wrong.saga'" in str(refused.value)
