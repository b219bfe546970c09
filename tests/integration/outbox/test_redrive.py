"""Redrive and discard, by a filter."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from outbox import claims, known, redrive
from outbox.claims import Failure
from outbox.exceptions import OperationRefused
from outbox.models import Attempt, Message, Status
from outbox.redrive import discard_selected, redrive_selected
from outbox.selection import Selection


@pytest.fixture
def failed(messages):
    """Makes Failed messages, each with its attempt: ``failed(3, error="no")`` returns their ids."""

    def make(
        count: int = 1, error: str = "boom", at: datetime | None = None, **columns: object
    ) -> list[UUID]:
        ids = messages(count, **columns)
        claim = claims.claim(1000)
        claims.settle_failed(claim, [Failure(id_, error, None) for id_ in claim.ids], "r1")
        if at:
            Attempt.objects.filter(message_id__in=ids).update(failed_at=at)
        return ids

    return make


def pending() -> list[UUID]:
    return sorted(Message.objects.filter(status=Status.PENDING).values_list("id", flat=True))


JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
MINE: dict[str, object] = {
    "queue": "slow",
    "correlation_id": "order-1",
    "type": "sample.other",
    "key": "A",
    "error": "Timeout: no answer",
    "at": datetime(2026, 6, 15, tzinfo=UTC),
    "consumer": "sample.first_subscriber",
}


@pytest.mark.parametrize(
    "selection",
    [
        Selection(type="sample.other"),
        Selection(queue="slow"),
        Selection(key="A"),
        Selection(consumer="sample.first_subscriber"),
        Selection(error="timeout"),
        Selection(correlation_id="order-1"),
        Selection(failed_until=JULY),
        Selection(failed_since=JUNE, failed_until=JULY),
    ],
    ids=str,
)
def test_each_part_of_a_filter_selects(failed, selection: Selection) -> None:
    """And what is not meant stays as it is."""
    mine = failed(1, **MINE)
    failed(2)
    assert list(redrive_selected(selection)) == [1]
    assert pending() == mine


def test_all_parts_have_to_apply(failed) -> None:
    """Type and text, not type or text; and ids narrow it further."""
    ids = failed(3, error="Timeout")
    failed(2, error="other")
    selection = Selection(type="sample.add", error="timeout", ids=tuple(ids[:1]))
    assert sum(redrive_selected(selection)) == 1
    assert pending() == ids[:1]


def test_a_queue_selects_what_goes_there_by_its_consumers_own_settings(failed) -> None:
    """A row that names no queue goes to its consumer's."""
    ids = failed(1)
    failed(1, queue="slow")
    (queue,) = {name for name, tasks in known.queues().items() if "sample.add" in tasks}
    assert sum(redrive_selected(Selection(queue=queue))) == 1
    assert pending() == ids


def test_an_empty_filter_is_refused() -> None:
    """Everything is hardly ever meant."""
    with pytest.raises(OperationRefused, match="empty filter means all"):
        Selection()


def test_only_failed_messages_that_are_open_are_selected(failed, messages) -> None:
    """Not those on their way, and not the discarded."""
    open_, closed = failed(2)
    redrive.discard([closed], "no longer wanted")
    claims.settle_sent(claims.claim(10), messages(1))
    assert sum(redrive_selected(Selection(type="sample.add"))) == 1
    assert Message.objects.get(pk=open_).status == Status.PENDING
    assert Message.objects.get(pk=closed).status == Status.FAILED


def test_counting_first_changes_nothing(failed) -> None:
    """The dry run: how many of which type, and since when."""
    failed(3)
    failed(1, type="sample.other")
    counts = Selection(error="boom").counts()
    assert {type_: count for type_, (count, _) in counts.items()} == {"sample.add": 3, "sample.other": 1}
    assert pending() == []


def test_a_limit_takes_the_oldest_first(failed) -> None:
    """In batches, until it is reached."""
    ids = failed(10)
    assert sum(redrive_selected(Selection(type="sample.add"), limit=4)) == 4
    assert pending() == ids[:4]


def test_batches_reach_the_end_each_message_once(failed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that fails again at once."""
    monkeypatch.setattr(redrive, "BATCH", 3)
    ids = failed(8)
    counts = []
    for count in redrive_selected(Selection(type="sample.add")):
        counts.append(count)
        claim = claims.claim(100)
        claims.settle_failed(claim, [Failure(id_, "again", None) for id_ in claim.ids], "r1")
    assert counts == [3, 3, 2]
    assert Attempt.objects.filter(message_id__in=ids).count() == 16


def test_a_throttle_keeps_the_rate(failed) -> None:
    """Ten a second: the eleventh waits for a second."""
    failed(11)
    began = time.monotonic()
    counts = list(redrive_selected(Selection(type="sample.add"), per_second=10))
    assert sum(counts) == 11
    assert max(counts) == 5
    assert time.monotonic() - began >= 0.99


def test_whoever_stops_asking_stops_the_work(failed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done stays done, and the others stay Failed."""
    monkeypatch.setattr(redrive, "BATCH", 2)
    failed(6)
    next(redrive_selected(Selection(type="sample.add")))
    assert len(pending()) == 2


@pytest.mark.parametrize("bad", [{"limit": 0}, {"per_second": 0}, {"per_second": float("nan")}])
def test_a_pace_that_cannot_be_is_refused(db, bad: dict[str, float]) -> None:
    """Before anything is changed."""
    with pytest.raises(OperationRefused, match=r"above 0|1 or more"):
        redrive_selected(Selection(type="x"), **bad)  # type: ignore[arg-type]


def test_each_message_gets_its_entry_and_keeps_its_attempts(failed) -> None:
    """Who, which filter, why; and the errors of before."""
    ids = failed(3)
    user = User.objects.create_user("olga")
    list(redrive_selected(Selection(type="sample.add"), by=user, reason="Mended."))
    entries = LogEntry.objects.values_list("user__username", "object_id", "change_message")
    assert sorted(entries) == [("olga", str(id_), "Redriven: type 'sample.add'. Mended.") for id_ in ids]
    assert Attempt.objects.count() == 3
    assert set(Message.objects.values_list("attempts", "redriven_after")) == {(1, 1)}


def test_discarding_needs_a_reason_and_lets_the_key_go_on(failed, messages) -> None:
    """What waits behind the message in its key is due."""
    failed(1, key="A", error="Timeout")
    behind = messages(1, key="A")
    assert claims.claim(10).messages == []
    with pytest.raises(OperationRefused, match="Say why"):
        discard_selected(Selection(key="A"), " ")
    assert list(discard_selected(Selection(key="A"), "not wanted")) == [1]
    assert Message.objects.get(discarded_at__isnull=False).last_error == "Discarded: not wanted"
    assert [m.id for m in claims.claim(10).messages] == behind


def test_redriving_an_earlier_message_of_a_key_restores_the_order(failed, messages) -> None:
    """The later one waits for it again."""
    first = failed(1, key="A", blocks_key=False)
    second = messages(1, key="A")
    redrive.redrive(first)
    assert [m.id for m in claims.claim(10).messages] == first
    assert Message.objects.get(pk=second[0]).waits_for == first[0]


def test_what_somebody_else_holds_is_passed_over(failed) -> None:
    """A row that is being changed right now is not waited for."""
    import threading

    from django.db import close_old_connections, connection, transaction

    held, free = failed(2)
    done: list[int] = []

    def work() -> None:
        close_old_connections()
        done.extend(redrive_selected(Selection(type="sample.add")))
        connection.close()

    with transaction.atomic():
        Message.objects.select_for_update().get(pk=held)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
    assert done == [1]
    assert pending() == [free]


def test_the_window_is_that_of_the_last_failure(failed) -> None:
    """Failed in June and again in July: that is July."""
    (id_,) = failed(1, at=JUNE + timedelta(days=1))
    Attempt.objects.create(
        message_id=id_, number=2, stage="send", error="x", failed_at=JULY + timedelta(days=1)
    )
    assert Selection(failed_since=JUNE, failed_until=JULY).rows().count() == 0
    assert Selection(failed_since=JULY).rows().count() == 1
