"""Order per key from within: who waits for whom, and that nobody waits in vain."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from outbox import claims, consumption
from outbox.api import redrive, send_command
from outbox.models import Message, Status
from tests.harness.waiting import wait_until
from tests.integration.outbox.keying import consume, keyed, take, taken


@pytest.mark.django_db(transaction=True)
class TestWaits:
    @pytest.mark.postgresql
    def test_two_of_a_key_are_never_on_their_way(self) -> None:
        """The database refuses it, whatever a relay saw."""
        first, second = keyed("a", 2)
        taken()
        with pytest.raises(IntegrityError, match="outbox_one_of_key_on_its_way"):
            Message.objects.filter(pk=second).update(
                status=Status.PROCESSING, lock_id=first, locked_until=Now(), waits_for=None
            )

    def test_two_of_a_key_never_wait_for_each_other(self) -> None:
        """An earlier one comes back while a later one is on its way, and then that comes back, too."""
        first, second = keyed("a", 2, blocks_key=False)
        taken()
        consumption.fail(first, 1, "never", None)
        assert taken() == [second]
        redrive([first])
        assert taken() == []  # the first waits for the second, which is on its way
        consumption.fail(second, 1, "later", 0.0)
        assert taken() == []  # now the second waits for the first, and the first for nobody
        assert taken() == [first]
        consume(first)
        assert taken() == [second]

    def test_a_wait_for_a_later_one_that_came_back_is_found(self) -> None:
        """Also when that one is not due for long."""
        first, second = keyed("a", 2, blocks_key=False)
        taken()
        consumption.fail(first, 1, "never", None)
        taken()
        redrive([first])
        taken()
        consumption.fail(second, 1, "later", 3600.0)
        assert claims.heal(10) == 1
        assert taken() == [first]

    def test_an_end_lets_go_one_message_only(self) -> None:
        """Each waits for the one before it: a long key costs each of its messages one look."""
        first, *others = keyed("a", 20)
        taken()
        assert Message.objects.filter(waits_for__isnull=False).count() == len(others)
        consume(first)
        assert Message.objects.filter(waits_for__isnull=False).count() == len(others) - 1

    @pytest.mark.row_locks
    def test_a_handler_at_work_holds_up_neither_its_key_nor_others(self) -> None:
        """While a head is being consumed, those behind it are neither locked nor in the way of other messages."""
        first, second, *_ = keyed("a", 30)
        taken(1)
        (free,) = keyed("")
        seen: list[UUID] = []
        unlocked: list[UUID] = []

        def relay() -> None:
            for _ in range(8):
                seen.extend(take(5).ids)
            with transaction.atomic():
                unlocked.append(Message.objects.select_for_update(nowait=True).get(pk=second).pk)
            connection.close()

        with transaction.atomic():
            assert consumption.consume(first, 1)
            thread = threading.Thread(target=relay)
            thread.start()
            thread.join(20)
            assert not thread.is_alive()
        assert (seen, unlocked) == ([free], [second])
        assert taken() == [second]

    def test_what_is_let_go_is_due_at_the_end_of_the_line(self) -> None:
        """A relay that does not look from the start finds it there."""
        first, second = keyed("a", 2)
        taken()
        before = Message.objects.get(pk=second).next_attempt_at
        consume(first)
        assert Message.objects.get(pk=second).next_attempt_at > before

    def test_what_waits_for_something_that_is_gone_is_found(self) -> None:
        """A process that dies between an end and the freeing of what waits for it costs a minute, not the message."""
        first, second = keyed("a", 2)
        taken()
        taken()
        assert Message.objects.get(pk=second).waits_for == first
        Message.objects.filter(pk=first).delete()
        assert claims.heal(10) == 1
        assert taken() == [second]

    @pytest.mark.row_locks
    def test_a_message_that_commits_late_takes_its_place(self) -> None:
        """Published earlier and committed later: it goes next, before what waits."""
        late = threading.Event()
        published: list[UUID] = []

        def publish_slowly() -> None:
            with transaction.atomic():
                published.extend([send_command("sample.add", {"a": 0}, key="a")])
                late.wait(30)
            connection.close()

        thread = threading.Thread(target=publish_slowly)
        thread.start()
        wait_until(lambda: published, "the slow transaction to publish")
        second, third = keyed("a", 2)
        assert taken() == [second]
        late.set()
        thread.join()
        consume(second)
        assert taken() == published
        consume(published[0])
        assert taken() == [third]
