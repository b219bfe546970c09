"""The list of messages."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from outbox.admin.paginator import MOST_COUNTED
from outbox.models import Message
from tests.integration.admin.making import dead, message, states

LIST = "/admin/outbox/message/"
MOST_QUERIES = 11


def listed(response: Any) -> set[Message]:
    """The rows of the list."""
    return set(response.context["cl"].result_list)


def test_shows_every_state(as_, reader):
    """Each state is a word of its own."""
    for state in states():
        message(state)
    labels = re.findall(r"uppercase[^>]*>\s*([^<]+?)\s*<", as_(reader).get(LIST).content.decode())
    assert Counter(labels) == {
        "Pending": 2,
        "Processing": 1,
        "Sent · unconsumed": 1,
        "Sent · running": 1,
        "Sent · consumed": 1,
        "Failed": 1,
        "Discarded": 1,
    }


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("pending", {"pending", "retrying"}),
        ("retrying", {"retrying"}),
        ("processing", {"processing"}),
        ("unconsumed", {"unconsumed", "running"}),
        ("consumed", {"consumed"}),
        ("dead", {"dead"}),
        ("discarded", {"discarded"}),
    ],
)
def test_filters_by_state(as_, reader, state, expected):
    """A state in the address narrows the list to the messages in it."""
    made = {name: message(name) for name in states()}
    assert listed(as_(reader).get(LIST, {"state": state})) == {made[name] for name in expected}


def test_an_unknown_state_is_not_taken_for_all(as_, reader):
    """A mistyped state leads to the list without filters, said in the address, and never shows all as an answer."""
    response = as_(reader).get(LIST, {"state": "gone"})
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?e=1")


def test_filters_by_type_known_or_not(as_, reader):
    """A type that nobody handles any more can be filtered for, too."""
    old = message(type="legacy.thing", consumer="")
    message()
    response = as_(reader).get(LIST, {"type": "legacy.thing"})
    assert listed(response) == {old}
    assert "legacy.thing" in response.content.decode()


def test_filters_by_the_queue_that_a_message_goes_to(as_, reader):
    """A message goes to the queue in its row, else to its consumer's own; an event's first hop is the default."""
    named = message(queue="payment")
    own = message(type="orders.payment.charge", consumer="orders.payment.charge")
    by_hand = message(consumer="")
    assert listed(as_(reader).get(LIST, {"queue": "payment"})) == {named, own}
    assert by_hand in listed(as_(reader).get(LIST, {"queue": "default"}))


def test_filters_by_age(as_, reader):
    """Age counts by the database's clock."""
    young, old = message(), message()
    Message.objects.filter(pk=old.pk).update(occurred_at=timezone.now() - timedelta(days=2))
    assert listed(as_(reader).get(LIST, {"age": "1h"})) == {young}
    assert listed(as_(reader).get(LIST, {"age": "over1d"})) == {old}


def test_searches(as_, reader):
    """By id, correlation id, type, and words of the error, each alone."""
    message()
    wanted = message(
        "dead", type="orders.order_shipped", correlation_id="A-17", last_error="Disk FULL on host seven"
    )
    for term in (str(wanted.id), wanted.id.hex, "A-17", "order_shipped", "full seven"):
        assert listed(as_(reader).get(LIST, {"q": term})) == {wanted}, term
    assert not listed(as_(reader).get(LIST, {"q": "full eight"}))


@pytest.mark.parametrize("count", [1, 40])
def test_number_of_queries_does_not_grow(as_, reader, count, django_assert_max_num_queries):
    """The list asks as often for forty messages as for one."""
    dead(count, errors=2)
    browser = as_(reader)
    with django_assert_max_num_queries(MOST_QUERIES):
        assert len(listed(browser.get(LIST))) == count


def test_never_counts_a_huge_table(transactional_db, as_, reader):
    """Unfiltered, the number is the database's estimate; filtered, counting stops at a bound. Both are said."""
    rows = MOST_COUNTED + 2000
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_message (type, status, attempts)"
            " SELECT 'orders.order_paid', 'failed', 8 FROM generate_series(1, %s)",
            [rows],
        )
        cursor.execute("ANALYZE outbox_message")
    browser = as_(reader)
    for query, words in ({}, f"about {rows}"), ({"state": "dead"}, f"more than {MOST_COUNTED}"):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page = browser.get(LIST, query).content.decode()
        counts = [q["sql"] for q in captured if "COUNT(*)" in q["sql"] and "outbox_message" in q["sql"]]
        assert all(f"LIMIT {MOST_COUNTED}" in sql for sql in counts), counts
        assert words in page


def test_the_contents_are_not_read_for_the_list(as_, reader):
    """Payloads may be large, and the list shows none."""
    message()
    browser = as_(reader)
    with CaptureQueriesContext(connection) as captured:
        browser.get(LIST)
    reading = [q["sql"] for q in captured if '"outbox_message"."last_error"' in q["sql"]]
    assert reading
    assert not [sql for sql in reading if '"payload"' in sql.split(" FROM ")[0]]


def test_latest_first(as_, reader):
    """The message written last is on top."""
    made = [message() for _ in range(3)]
    Message.objects.update(
        attempts=F("attempts") + 1
    )  # an update moves a row, and must not move it in the list
    assert list(as_(reader).get(LIST).context["cl"].result_list) == made[::-1]


def test_when_nothing_matches_the_way_out_is_the_first_button(as_, superuser):
    """Not to add a message by hand, which is hardly what somebody wants who filters; with no filter it is."""

    def buttons(**filters: str) -> list[str]:
        page = as_(superuser).get(LIST, filters).content.decode()
        below = page[page.index("font-semibold mb-1 text-xl") :]
        return re.findall(r'<a href="([^"]*)" class="[^"]*bg-primary-600', below)

    message()
    assert buttons(state="dead") == ["?"]
    Message.objects.all().delete()
    assert [url.partition("?")[0] for url in buttons()] == ["/admin/outbox/message/add/"]
