"""The portable store, here beside PostgreSQL's: the same fences."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import connection, transaction

from outbox import claims
from outbox.models import Message, Status
from outbox.rows import NewMessage
from outbox.store.base import Store
from outbox.store.portable import Portable
from outbox.store.postgresql import PostgreSQL
from outbox.store.records import Run

STORES = [Portable(), PostgreSQL()]


@pytest.fixture
def sent(messages) -> UUID:
    """A message that was sent once."""
    ids = messages(1)
    claims.settle_sent(claims.claim(1), ids)
    return ids[0]


def reschedule(store: Store, id_: UUID) -> bool:
    """What a task's ``retry()`` writes."""
    return store.reschedule(
        Run(id_, 1, "w"), "again", NewMessage(id_, "sample.add", "sample.add", '{"a": 1}')
    )


def consume_elsewhere(store: Store, id_: UUID) -> None:
    """A duplicate of the delivery, in another process."""

    def run() -> None:
        with transaction.atomic():
            assert store.consume(id_, 1, "") is not None
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)


@pytest.mark.parametrize("store", STORES)
def test_a_retry_in_the_transaction_of_its_mark_takes_the_mark_back(store: Store, sent: UUID) -> None:
    """``retry(throw=False)``: the run goes on to its end, and its row becomes the next attempt."""
    with transaction.atomic():
        assert store.consume(sent, 1, "") is not None
        assert reschedule(store, sent)
    assert Message.objects.get().status == Status.PENDING


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_retry_after_a_rollback_leaves_what_a_duplicate_has_consumed(
    store: Store, is_nested: bool, sent: UUID
) -> None:
    """The mark was taken back with the transaction, or its savepoint; the one that stands is another's."""
    with pytest.raises(RuntimeError), transaction.atomic():
        if is_nested:
            with pytest.raises(RuntimeError), transaction.atomic():
                store.consume(sent, 1, "")
                raise RuntimeError
        else:
            store.consume(sent, 1, "")
        raise RuntimeError
    consume_elsewhere(store, sent)
    with transaction.atomic():
        assert not reschedule(store, sent)
    assert not reschedule(store, sent)
    assert Message.objects.get().consumed_at is not None


@pytest.mark.parametrize("store", STORES)
def test_a_savepoint_that_is_rolled_back_takes_its_mark_along(store: Store, sent: UUID) -> None:
    """In the same transaction: a duplicate may consume it, and then the retry is outdated."""
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            store.consume(sent, 1, "")
            raise RuntimeError
        consume_elsewhere(store, sent)
        assert not reschedule(store, sent)
    assert Message.objects.get().consumed_at is not None


@pytest.mark.parametrize("store", STORES)
def test_a_retry_after_the_commit_changes_nothing(store: Store, sent: UUID) -> None:
    """What is consumed stays consumed."""
    with transaction.atomic():
        store.consume(sent, 1, "")
    with transaction.atomic():
        assert not reschedule(store, sent)
