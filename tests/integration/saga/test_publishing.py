"""What a step publishes is written with the step's own rows: both or neither, and one statement."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox.api import send_command
from outbox.models import Message
from outbox.saga.models import Saga
from tests.integration.saga.conftest import World, deliver, sent, step

pytestmark = pytest.mark.usefixtures("transactional_db")


def publish(number: int = 1, **options: str) -> None:
    """Tell somebody of the step."""
    send_command("tests.told", {"number": number}, **options)  # type: ignore[arg-type]


def told() -> list[int]:
    """What was published."""
    return [m.payload["number"] for m in Message.objects.filter(type="tests.told").order_by("id")]


@pytest.mark.parametrize("where", ["pack", "record book"])
def test_it_takes_no_statement_of_its_own(saga: Saga, world: World, where: str) -> None:
    """In a local step, and in the record of a remote one."""
    world.faults[where] = lambda _: publish()
    if where != "pack":
        step()
    (message,) = sent()
    with CaptureQueriesContext(connection) as queries:
        deliver(message)
    inserts = [q["sql"] for q in queries if "INTO outbox_message " in (q["sql"] or "")]
    assert [sql.strip().startswith("WITH part0") for sql in inserts] == [True]
    assert told() == [1]


def test_a_step_that_fails_has_told_nobody(saga: Saga, world: World) -> None:
    """What it had published until then goes with all else that it did."""

    def publish_and_fail(_: object) -> None:
        publish()
        raise RuntimeError("too late")

    world.faults["pack"] = publish_and_fail
    step()
    assert told() == []


def test_a_savepoint_that_is_rolled_back_has_told_nobody(saga: Saga, world: World) -> None:
    """Nor does what was published around it suffer."""

    def try_something(_: object) -> None:
        publish(1)
        with pytest.raises(DatabaseError), transaction.atomic():
            publish(2)
            connection.cursor().execute("SELECT 1 / 0")
        publish(3)

    world.faults["pack"] = try_something
    step()
    assert told() == [1, 3]


@pytest.mark.parametrize(
    "work",
    [
        lambda: publish(key="ada"),
        lambda: publish(schedule_key="reminder"),
        lambda: publish(delay=60),
        lambda: [publish(n) for n in range(25)],
    ],
    ids=["with a key", "with a name", "for later", "a lot"],
)
def test_all_that_is_published_is_there(saga: Saga, world: World, work: Callable[[], None]) -> None:
    """Also what is better written at once."""
    world.faults["pack"] = lambda _: work()
    step()
    assert told() in ([1], list(range(25)))
