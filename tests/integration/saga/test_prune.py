"""Retention: the history of ended sagas leaves in batches, whoever else is pruning; nothing else leaves."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from outbox.audit import findings
from outbox.exceptions import OperationRefused
from outbox.saga.api import start
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.saga.prune import MIN_AGE, Pruned, count_prunable, prune, total
from outbox.saga.tasks import prune_sagas
from tests.integration.saga.conftest import World, run_to_the_end

MONTH = timedelta(days=30)


@pytest.fixture
def ended(transactional_db: None, world: World) -> list[Saga]:
    """Five sagas that have run to their end, long ago."""
    with transaction.atomic():
        ids = [start("sample.journey", f"trip-{n}") for n in range(5)]
    run_to_the_end()
    Saga.objects.update(ended_at=Now() - timedelta(days=31))
    return list(Saga.objects.filter(id__in=ids))


def test_history_leaves_and_the_saga_stays(ended: list[Saga]) -> None:
    """In batches; the outcome can still be read, the audit is clean, and there is no second saga of the key."""
    assert count_prunable(MONTH) == 5
    batches = list(prune(MONTH, batch=2))
    assert [batch.sagas for batch in batches] == [2, 2, 1]
    assert total(batches).steps == 15
    assert not SagaStep.objects.exists()
    assert not SagaTransition.objects.exists()
    assert {saga.status for saga in Saga.objects.all()} == {"completed"}
    assert findings() == []
    with pytest.raises(IntegrityError), transaction.atomic():
        start("sample.journey", "trip-1")
    assert list(prune(MONTH)) == []


def test_open_and_young_sagas_keep_theirs(ended: list[Saga]) -> None:
    """Whatever the age of an open saga; and one that ended a moment ago."""
    with transaction.atomic():
        start("sample.journey", "open")
    Saga.objects.filter(key="open").update(started_at=Now() - timedelta(days=365))
    Saga.objects.filter(key="trip-0").update(ended_at=Now())
    assert total(prune(MONTH)).sagas == 4
    assert set(SagaTransition.objects.values_list("saga__key", flat=True)) == {"open", "trip-0"}


def test_never_below_the_minimum_age(ended: list[Saga]) -> None:
    """Refused in words, by the function and by the command; nothing is deleted."""
    with pytest.raises(OperationRefused, match="too young"):
        list(prune(MIN_AGE / 2))
    with pytest.raises(CommandError, match="too young"):
        call_command("prune_sagas", "--older-than", "59m")
    assert SagaStep.objects.count() == 15


def test_several_processes_share_the_work(ended: list[Saga]) -> None:
    """Four at once, each with a connection of its own: every saga is pruned by one of them."""
    together = Barrier(4)

    def run(_: int) -> Pruned:
        together.wait()
        try:
            return total(prune(MONTH, batch=1))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(run, range(4)))
    assert (sum(one.sagas for one in done), sum(one.steps for one in done)) == (5, 15)


def test_the_command_counts_first(ended: list[Saga], capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run deletes nothing; then it says what it deleted."""
    call_command("prune_sagas", "--older-than", "30d", "--dry-run")
    assert capsys.readouterr().out == "5 sagas would lose their history.\n"
    call_command("prune_sagas", "--older-than", "30d")
    lines = r"Pruned 5 sagas: 15 steps and \d+ lines of history\.\n"
    assert re.fullmatch(lines, capsys.readouterr().out)


def test_the_periodic_task_prunes_what_the_settings_say(ended: list[Saga], settings) -> None:
    """By ``OUTBOX["SAGA_RETENTION"]``."""
    assert prune_sagas()["sagas"] == 0
    settings.OUTBOX = {**settings.OUTBOX, "SAGA_RETENTION": MONTH.total_seconds()}
    assert prune_sagas()["sagas"] == 5
