"""The watchdog: one saga that cannot be handled is parked, and keeps no other waiting."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from outbox.models import Message
from outbox.saga import engine
from outbox.saga.api import SagaRefused, cancel, resume, start
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.saga.watchdog import sweep
from tests.integration.saga.conftest import (
    Killed,
    World,
    deliver,
    end_leases,
    raising,
    run_to_the_end,
    sent,
    status,
    step,
)


@pytest.fixture
def stranded(transactional_db: None, world: World) -> list[Saga]:
    """Three sagas whose workers died in the same step; the first one's lease ended first."""
    with transaction.atomic():
        ids = [start("sample.journey", f"trip-{n}") for n in range(3)]
    step()
    world.faults["book"] = raising(Killed())
    for message in sent():
        with pytest.raises(Killed):
            deliver(message)
    world.faults.clear()
    end_leases()
    SagaStep.objects.filter(saga=ids[0], status="running").update(locked_until=Now() - timedelta(hours=1))
    return [Saga.objects.get(pk=id_) for id_ in ids]


def test_a_saga_of_an_unknown_definition_is_parked_and_the_others_go_on(
    stranded: list[Saga], caplog: pytest.LogCaptureFixture
) -> None:
    """Visible in the state, the history and the log; found once, not for ever."""
    Saga.objects.filter(pk=stranded[0].pk).update(definition="sample.renamed")
    with caplog.at_level(logging.ERROR, "outbox.saga.watchdog"):
        assert sweep().attempts_lost == 3
    assert sweep().attempts_lost == 0
    assert status(stranded[0]) == "needs_attention"
    assert "sample.renamed" in stranded[0].attention
    note = SagaTransition.objects.get(what="parked")
    assert (note.saga_id, note.actor, note.detail) == (stranded[0].id, "watchdog", stranded[0].attention)
    assert caplog.records[0].exc_info is not None
    run_to_the_end()
    assert [status(saga) for saga in stranded[1:]] == ["completed", "completed"]


def test_a_saga_with_an_unknown_step_is_parked(stranded: list[Saga]) -> None:
    """A definition that lost a step is no reason for silence either."""
    SagaStep.objects.filter(saga=stranded[0], status="running").update(name="renamed")
    assert sweep().attempts_lost == 3
    assert status(stranded[0]) == "needs_attention"
    assert "'renamed'" in stranded[0].attention


def test_a_saga_whose_hook_raises_is_parked(saga: Saga, world: World) -> None:
    """A bug in the application's hook is seen by a person, also when it holds a character that no column takes."""
    SagaStep.objects.update(scheduled_at=Now() - timedelta(hours=1))
    Message.objects.all().delete()
    world.faults["parked"] = raising(RuntimeError("a hook's bug\x00"))
    assert sweep().orphaned == 1
    assert sweep().orphaned == 0
    assert status(saga) == "needs_attention"
    assert "RuntimeError: a hook's bug\\x00" in saga.attention


def test_a_database_that_is_away_ends_the_round(stranded: list[Saga], monkeypatch) -> None:
    """Nothing can be parked then, and nothing is to be: the next round finds the sagas as they are."""

    def away(*_: object, **__: object) -> None:
        connection.close()
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "fail", away)
        with pytest.raises(OperationalError):
            sweep()
    assert [status(saga) for saga in stranded] == ["running"] * 3
    assert sweep().attempts_lost == 3


@pytest.fixture
def impatient(transactional_db: None) -> Iterator[None]:
    """A connection that does not wait for locks for long."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
    yield
    connection.close()


@contextmanager
def held(message_id: UUID) -> Iterator[None]:
    """Somebody else's transaction holds the message."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM outbox_message WHERE id = %s FOR UPDATE", [message_id])
            yield
        other.rollback()
    finally:
        other.close()


def test_a_lock_that_is_not_given_in_time_concerns_one_saga(stranded: list[Saga], impatient: None) -> None:
    """It is passed over until the next round, not parked; the others go on."""
    with held(stranded[0].steps.get(status="running").message_id):
        assert sweep().attempts_lost == 2
    assert status(stranded[0]) == "running"
    assert sweep().attempts_lost == 1


def test_operating_a_saga_of_an_unknown_definition_is_refused_in_words(stranded: list[Saga]) -> None:
    """No traceback for a person: what is missing is said, and nothing is changed."""
    Saga.objects.filter(pk=stranded[0].pk).update(definition="sample.renamed")
    with pytest.raises(SagaRefused, match=r"sample\.renamed"):
        cancel(stranded[0].id, actor="olga", reason="away with it")
    sweep()
    with pytest.raises(SagaRefused, match=r"sample\.renamed"):
        resume(stranded[0].id, actor="olga", reason="again")
    Saga.objects.filter(pk=stranded[0].pk).update(definition="sample.journey")
    resume(stranded[0].id, actor="olga", reason="the definition is back")
    run_to_the_end()
    assert status(stranded[0]) == "completed"
