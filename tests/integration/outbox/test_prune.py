"""Retention: what leaves, what stays, and that it leaves quietly."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import close_old_connections, connection, transaction
from django.db.models.functions import Now

from orders.models import IdempotencyRecord
from outbox import claims, consumption, prune, redrive
from outbox.claims import Failure
from outbox.conf import build
from outbox.exceptions import OperationRefused
from outbox.models import Attempt, InboxMessage, Message
from outbox.prune import PRUNABLES, Prunable, count_prunable
from outbox.tasks import prune as prune_task

OLD = Now() - timedelta(days=8)
DAY = timedelta(days=1)


@pytest.fixture
def consumed(messages):
    """Makes consumed messages of some age: ``consumed(3, days=8)``."""

    def make(count: int = 1, days: float = 8) -> list[UUID]:
        ids = messages(count)
        for message in claims.claim(1000).messages:
            consumption.consume(message.id, message.attempts)
        Message.objects.filter(id__in=ids).update(consumed_at=Now() - timedelta(days=days))
        return ids

    return make


def pruned(age: timedelta | None = None) -> int:
    return sum(batch.count for batch in prune.prune(age))


def test_consumed_messages_leave_after_their_time(consumed) -> None:
    """By default a week; the younger ones stay."""
    consumed(3, days=8)
    young = consumed(2, days=6)
    assert pruned() == 3
    assert sorted(Message.objects.values_list("id", flat=True)) == young
    assert pruned(5 * DAY) == 2


def test_nothing_unfinished_leaves_however_old(messages) -> None:
    """Due, scheduled, claimed, sent, or failed and open."""
    pending, processing, sent, failed = messages(4)
    claim = claims.claim(10)
    claims.settle_sent(claim, [sent])
    claims.settle_failed(claim, [Failure(failed, "boom", None)], "r1")
    claims.release(claim, [pending])
    Message.objects.update(occurred_at=OLD, next_attempt_at=OLD)
    Message.objects.filter(id__in=[processing, sent]).update(locked_until=OLD)
    assert pruned(timedelta(hours=1)) == 0
    assert Message.objects.count() == 4


def test_discarded_messages_leave_with_their_attempts(messages) -> None:
    """No attempt is left without its message."""
    (id_,) = messages(1)
    claims.settle_failed(claims.claim(1), [Failure(id_, "boom", None)], "r1")
    redrive.discard([id_], "why")
    assert pruned() == 0
    Message.objects.update(discarded_at=OLD)
    assert pruned() == 1
    assert not Attempt.objects.exists()


def test_inbox_rows_leave_by_the_same_age(db) -> None:
    """The table of foreign messages stays bounded, too."""
    InboxMessage.objects.create(consumer="a", message_id="1", received_at=OLD)
    InboxMessage.objects.create(consumer="a", message_id="2")
    assert pruned() == 1
    assert InboxMessage.objects.get().message_id == "2"


def test_it_goes_batch_by_batch_to_the_end(consumed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a transaction of its own, each at most so large."""
    monkeypatch.setattr(prune, "BATCH", 4)
    consumed(10)
    assert [batch.count for batch in prune.prune()] == [4, 4, 2]
    assert not Message.objects.exists()


def test_it_stops_when_its_time_is_over(consumed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is for the next time."""
    monkeypatch.setattr(prune, "BATCH", 1)
    consumed(3)
    assert list(prune.prune(seconds=0)) == []
    next(prune.prune())
    assert Message.objects.count() == 2


def test_no_kind_waits_until_another_one_is_through(consumed, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take turns."""
    monkeypatch.setattr(prune, "BATCH", 1)
    consumed(3)
    InboxMessage.objects.create(consumer="a", message_id="1", received_at=OLD)
    assert "inbox messages" in [batch.kind for batch in prune.prune()][:2]


def test_nothing_young_is_deleted_whatever_is_asked(consumed) -> None:
    """An hour at least, from the command line as from the settings."""
    consumed(1)
    with pytest.raises(OperationRefused, match=r"younger than 3,600 s.*59 s"):
        prune.prune(timedelta(seconds=59))
    (problem,) = build({"RETENTION": 60}).problems()
    assert "3600 s at least" in problem


def test_a_dry_run_counts_and_deletes_nothing(consumed) -> None:
    """By kind."""
    consumed(2)
    assert count_prunable() == dict.fromkeys(count_prunable(), 0) | {"consumed messages": 2}
    assert Message.objects.count() == 2


def test_processes_that_prune_at_once_do_not_collide(consumed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row leaves once, and nobody waits for anybody."""
    monkeypatch.setattr(prune, "BATCH", 10)
    consumed(200)
    counts: list[int] = []

    def work() -> None:
        close_old_connections()
        counts.append(pruned())
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) + pruned() == 200
    assert len(counts) == 4


def test_a_row_that_somebody_holds_is_passed_over(consumed) -> None:
    """It leaves the next time."""
    held, _ = consumed(2)
    counts: list[int] = []

    def work() -> None:
        close_old_connections()
        counts.append(pruned())
        connection.close()

    with transaction.atomic():
        Message.objects.select_for_update().get(pk=held)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(30)
    assert counts == [1]
    assert pruned() == 1


def test_indexes_serve_it(consumed) -> None:
    """The work is that of what leaves, not that of what stays."""
    consumed(1)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_message (id, type, status, sent_at, consumed_at) "
            "SELECT uuidv7(), 'x', 'sent', now(), now() FROM generate_series(1, 20000)"
        )
        cursor.execute("VACUUM ANALYZE outbox_message")
    plans = {kind.name: kind.older_than(DAY)[:1000].explain() for kind in PRUNABLES[:2]}
    assert "outbox_consumed" in plans["consumed messages"]
    assert "outbox_failed" in plans["discarded messages"]


def test_applications_may_have_rows_of_their_own_leave(messages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared once, they leave with the others."""
    monkeypatch.setattr(prune, "PRUNABLES", list(PRUNABLES))
    kind = Prunable("attempts", Attempt.objects.all, "failed_at", order="id")
    prune.prune_also(kind)
    prune.prune_also(kind)
    (id_,) = messages(1)
    Attempt.objects.create(message_id=id_, number=1, stage="send", error="x", failed_at=OLD)
    assert pruned() == 1


def test_kept_answers_of_the_api_leave_with_them(django_user_model, db) -> None:
    """A request that is repeated later than that is a new one."""
    customer = django_user_model.objects.create_user("cleo")
    old, young = (
        IdempotencyRecord.objects.create(customer=customer, key=key, fingerprint="", status_code=202, body={})
        for key in ("old", "young")
    )
    IdempotencyRecord.objects.filter(pk=old.pk).update(created_at=OLD)
    assert pruned() == 1
    assert IdempotencyRecord.objects.get() == young


def test_the_periodic_task_tells_what_it_did(consumed) -> None:
    """For its result, and for Flower."""
    consumed(2)
    assert prune_task() == {"consumed messages": 2}
    assert prune_task() == {}
