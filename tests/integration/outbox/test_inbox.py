"""Messages that come from elsewhere take effect once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from outbox.api import PublishOutsideTransaction, current_context, once, receive
from outbox.models import InboxMessage
from tests.harness.concurrent import in_background, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


def take(id_: str = "m-1", consumer: str = "billing") -> bool:
    """Receive a message in a transaction of its own."""
    with transaction.atomic():
        return receive(consumer, id_)


def test_a_message_is_received_once() -> None:
    """Once for each consumer; another message, or another consumer, is another matter."""
    assert [take(), take(), take("m-2"), take(consumer="stock"), take(consumer="stock")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert InboxMessage.objects.count() == 3


def test_a_mark_without_its_effects_transaction_is_refused() -> None:
    """Kept by itself, it could outlive an effect that never happened."""
    with pytest.raises(PublishOutsideTransaction, match=r"transaction\.atomic"):
        receive("billing", "m-1")


def test_a_rollback_forgets_the_message() -> None:
    """Its effect did not happen: the next copy is new."""
    with pytest.raises(RuntimeError), transaction.atomic():
        assert receive("billing", "m-1")
        raise RuntimeError
    assert take()


@pytest.mark.postgresql
@pytest.mark.parametrize("commits", [True, False])
def test_of_duplicates_at_the_same_time_one_wins(commits: bool) -> None:
    """The second waits for the first: it is the winner only when the first rolls back."""
    with transaction.atomic():
        assert receive("billing", "m-1")
        second = in_background(take)
        wait_until_blocked()
        transaction.set_rollback(not commits)
    assert second.result(10) is not commits
    assert InboxMessage.objects.count() == 1


@pytest.mark.parametrize(("consumer", "id_"), [("", "m"), ("billing", ""), ("billing", "x" * 201)])
def test_a_name_that_the_table_does_not_take_is_refused(consumer: str, id_: str) -> None:
    """A name cut short would take two messages for one."""
    with transaction.atomic(), pytest.raises(ValueError, match="1 to 200 characters"):
        receive(consumer, id_)


def test_a_function_can_run_once_per_message() -> None:
    """Mark and effect in one transaction; what it publishes names the foreign message as its cause."""

    @once("billing.webhook", lambda body: body["id"])
    def webhook(body: dict[str, str]) -> str:
        """Takes a payment."""
        Group.objects.create(name=body["name"])
        if body["name"] == "bad":
            raise RuntimeError
        return current_context().causation_id

    assert webhook.__doc__ == "Takes a payment."
    with pytest.raises(RuntimeError):
        webhook({"id": "m-1", "name": "bad"})
    assert webhook({"id": "m-1", "name": "good"}) == "m-1"
    assert webhook({"id": "m-1", "name": "again"}) is None
    names = Group.objects.filter(name__in=["bad", "good", "again"]).values_list("name", flat=True)
    assert list(names) == ["good"]
