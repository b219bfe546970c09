"""The page of one message."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest

from outbox.models import Message
from outbox.saga.models import SagaStep
from tests.integration.admin.making import dead, message, saga, states

MOST_QUERIES = 14


def url(made: Message, page: str = "change") -> str:
    """The address of one of the message's pages."""
    return f"/admin/outbox/message/{made.pk}/{page}/"


def page_of(browser, made: Message) -> str:
    """The message's page."""
    response = browser.get(url(made))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("state", states())
def test_renders_every_state_with_every_column(as_, reader, state):
    """Whatever state a message is in, its page shows all that its row says."""
    made = message(state, correlation_id="A-17", queue="payment", headers={"version": 1})
    page = page_of(as_(reader), made)
    for value in (made.id, made.type, made.consumer, "A-17", "payment", made.lock_id or "", "version"):
        assert str(value) in page
    for at in (made.occurred_at, made.sent_at, made.started_at, made.consumed_at, made.discarded_at):
        made.refresh_from_db()
        assert at is None or hasattr(at, "as_sql") or at.isoformat() in page


def test_contents_are_coloured_and_harmless(as_, reader):
    """JSON is marked up by the server; what it says is never markup."""
    evil = "</pre><script>alert(1)</script>"
    made = message("dead", payload={"text": evil, "n": -1.5, "yes": True, "nothing": None}, last_error=evil)
    page = page_of(as_(reader), made)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    for token in (
        '<span class="json-key">&quot;n&quot;</span>: <span class="json-number">-1.5</span>',
        '<span class="json-word">true</span>',
        '<span class="json-word">null</span>',
    ):
        assert token in page


def test_large_contents_are_cut(as_, reader):
    """A payload of a megabyte does not make a page of a megabyte; the page says that there is more."""
    page = page_of(as_(reader), message(payload={"text": "x" * 1_000_000}))
    assert len(page) < 200_000
    assert "more characters" in page


def test_failed_attempts_are_a_table(as_, reader):
    """Each failed attempt with number, stage, error, worker and time, latest first."""
    (made,) = dead(errors=3)
    page = page_of(as_(reader), made)
    assert re.findall(r"KeyError: (\d)", page) == ["2", "1", "0"]
    assert page.count("celery@one") >= 3
    assert "Consuming" in page


def test_links_to_flower_only_where_there_is_one(as_, reader, settings):
    """The message's id is its task's id in Flower."""
    made, unsent = message("consumed"), message()
    settings.FLOWER_URL = ""
    assert "/task/" not in page_of(as_(reader), made)
    settings.FLOWER_URL = "https://flower.example.org/"
    assert f'href="https://flower.example.org/task/{made.id}"' in page_of(as_(reader), made)
    assert "/task/" not in page_of(as_(reader), unsent), (
        "a broker that never had it, and Flower, know nothing of it"
    )


def test_lineage_tells_consumed_from_sent(as_, reader):
    """What waits for a consumer and what is done are different words."""
    first = message("consumed", correlation_id="one thing")
    message("unconsumed", correlation_id="one thing")
    page = page_of(as_(reader), first)
    assert "Sent · consumed" in page
    assert "Sent · unconsumed" in page


def test_links_to_its_saga_and_its_order(as_, reader, reader_with):
    """What a command runs and what it belongs to are one click away, for who may see them."""
    one = saga()
    command = Message.objects.get(pk=SagaStep.objects.get(saga=one).message_id)
    page = page_of(as_(reader), command)
    assert f"/admin/saga/saga/{one.id}/change/" in page
    assert f"/admin/orders/order/{one.key}/change/" in page
    reader.groups.clear()
    page = page_of(as_(reader_with("outbox.view_message")), command)
    assert "/admin/saga/" not in page
    assert "/admin/orders/" not in page


def test_lineage(as_, reader):
    """What caused a message, and what it caused, are named and linked; others of the same thing are listed."""
    cause = message(type="orders.order_shipped", consumer="")
    made = message(correlation_id="A-17", headers={"causation_id": str(cause.id)})
    effect = message(correlation_id="A-17", headers={"causation_id": str(made.id)})
    cousin = message(correlation_id="A-17")
    stranger = message(correlation_id="B-1")
    page = page_of(as_(reader), made)
    lines = {
        other: re.search(rf"<div>(caused it|caused by it)?</div>.*?{other.id}|{url(other)}", page, re.DOTALL)
        for other in (cause, effect, cousin)
    }
    assert all(lines.values())
    assert (
        page.index("caused it")
        < page.index(url(cause))
        < page.index("caused by it")
        < page.index(url(effect))
    )
    assert url(stranger) not in page


@pytest.mark.parametrize("causation_id", [str(UUID(int=7)), "not a uuid", 17, None, ["x"]])
def test_a_cause_that_is_gone_or_nonsense_breaks_nothing(as_, reader, causation_id):
    """Headers are anybody's JSON."""
    page_of(as_(reader), message(headers={"causation_id": causation_id}))
    page_of(as_(reader), message(headers=["not", "an", "object"]))


def test_messages_are_never_edited_or_deleted(as_, superuser):
    """Not even by who may do everything: neither by form, nor one by one, nor in bulk."""
    made = message("dead")
    browser = as_(superuser)
    assert browser.post(url(made), {"type": "x", "_save": "Save"}).status_code == 403
    assert browser.post(url(made, "delete"), {"post": "yes"}).status_code == 403
    browser.post(
        "/admin/outbox/message/",
        {"action": "delete_selected", "_selected_action": made.pk, "post": "yes", "index": 0},
    )
    again = Message.objects.get(pk=made.pk)
    assert (again.type, again.status) == (made.type, "failed")


def test_an_unknown_message_leads_back(as_, reader):
    """An id that is not there is said so, without an error."""
    for wrong in (uuid4(), "nonsense"):
        response = as_(reader).get(f"/admin/outbox/message/{wrong}/change/")
        assert response.status_code == 302


@pytest.mark.parametrize("count", [1, 30])
def test_number_of_queries_does_not_grow(as_, reader, count, django_assert_max_num_queries):
    """A message with thirty errors and thirty relatives needs no more queries than one with one each."""
    (made,) = dead(errors=count)
    Message.objects.filter(pk=made.pk).update(correlation_id="A-17")
    for _ in range(count):
        message(correlation_id="A-17")
    browser = as_(reader)
    with django_assert_max_num_queries(MOST_QUERIES):
        browser.get(url(made))


def test_hidden_from_who_may_not_see(as_, reader):
    """Without the permission to view there is no list and no page."""
    made = message()
    reader.groups.clear()
    assert as_(reader).get(url(made)).status_code == 403
    assert as_(reader).get("/admin/outbox/message/").status_code == 403
