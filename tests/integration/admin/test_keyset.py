"""Pages of a table that may be huge."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from outbox.admin import keyset
from outbox.admin.keyset import Page, Position, page_of
from outbox.models import Message
from tests.integration.admin.making import message

LIST = "/admin/outbox/message/"


def listed(response: Any) -> list[UUID]:
    """The keys of the list's rows."""
    return [row.pk for row in response.context["cl"].result_list]


def keys(page: Page) -> list[UUID]:
    """Of a page's rows."""
    return [row.pk for row in page.rows]


@pytest.fixture
def ids(db: None) -> list[UUID]:
    """Of 130 messages, latest first."""
    made = [Message(type="orders.order_paid", correlation_id=str(n)) for n in range(130)]
    return [row.pk for row in Message.objects.bulk_create(made)][::-1]


@pytest.fixture
def in_a_hurry(monkeypatch) -> None:
    """The database has no time for a page, and a search none for a second slice."""
    monkeypatch.setattr(keyset, "_ask", lambda rows, size, end, descending: None)
    monkeypatch.setattr(keyset, "FIRST_SLICE", 20)
    monkeypatch.setattr(keyset, "IN_ALL", 0.0)


def test_older_and_newer_lead_through_all_rows_and_back(as_, reader, ids):
    """Each row is on one page, in order, in both directions; the ends have no way beyond."""
    browser = as_(reader)
    first = browser.get(LIST)
    second = browser.get(LIST + first.context["cl"].older_url)
    third = browser.get(LIST + second.context["cl"].older_url)
    assert [*listed(first), *listed(second), *listed(third)] == ids
    assert not third.context["cl"].page.older
    assert listed(browser.get(LIST + third.context["cl"].newer_url)) == listed(second)
    assert not first.context["cl"].page.newer


def test_a_row_written_meanwhile_moves_no_page(as_, reader, ids):
    """The second page begins below the first one's last row, whatever came on top: nothing twice, nothing skipped."""
    browser = as_(reader)
    first = browser.get(LIST)
    message()
    assert listed(browser.get(LIST + first.context["cl"].older_url)) == ids[50:100]


def test_the_place_is_no_filter(as_, reader, ids):
    """A link to another filter begins at the top, and a filter stays from page to page."""
    cl = as_(reader).get(LIST, {"before": str(ids[60]), "type": "orders.order_paid"}).context["cl"]
    assert "before" not in cl.get_query_string({"state": "dead"})
    assert "type=orders.order_paid" in cl.older_url


def test_nonsense_for_a_place_leads_to_the_top(as_, reader, ids):
    """A key that is none is said in the address, as with any other filter that is not understood."""
    response = as_(reader).get(LIST, {"before": "x"})
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?e=1")


def test_a_slow_filter_is_searched_in_slices(ids, in_a_hurry):
    """The search stops when its time is over, says where, and goes on from there until the match is found."""
    rows, position, found, rounds = Message.objects.filter(correlation_id="3"), Position(), [], 0
    while True:
        page = page_of(rows, position, 50)
        found += keys(page)
        rounds += 1
        if page.searched_to is None:
            break
        position = Position(before=page.searched_to)
    assert found == [ids[-4]]
    assert rounds == 130 // 20 + 1


def test_a_slice_that_fills_the_page_ends_the_search(ids, in_a_hurry):
    """A full page leads on from its last row."""
    page = page_of(Message.objects.all(), Position(), 10)
    assert (keys(page), page.older, page.searched_to) == (ids[:10], True, None)


def test_the_list_says_that_the_search_stopped(as_, reader, ids, in_a_hurry):
    """And offers to go on."""
    page = as_(reader).get(LIST, {"correlation": "3"}).content.decode()
    assert "Search further back" in page
    assert "older rows were not looked at" in page


def test_the_database_ends_a_question_that_takes_too_long(transactional_db):
    """The time limit is the server's own, and is gone afterwards."""
    from django.db import connection

    from outbox.admin.bounded import TookTooLong, time_limit

    with pytest.raises(TookTooLong), time_limit("default", 0.05), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "0"


def test_filters_combine(as_, reader):
    """State, attempts, key, error and correlation, each narrows what the others left."""
    wanted = message("dead", key="K", correlation_id="A-17", last_error="KeyError: x")
    for changes in ({"key": "L"}, {"correlation_id": "B"}, {"last_error": "Other"}, {"attempts": 1}):
        message("dead", **{"key": "K", "correlation_id": "A-17", "last_error": "KeyError", **changes})
    query = {"state": "dead", "attempts": "5", "key": "K", "correlation": "A-17", "error": "keyerror"}
    assert listed(as_(reader).get(LIST, query)) == [wanted.pk]
