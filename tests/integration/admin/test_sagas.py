"""Sagas: seen and found."""

from __future__ import annotations

from uuid import uuid4

import pytest

from outbox.saga.dependencies.models import BreakerState, DependencyWait
from outbox.saga.models import Saga, SagaStep, SagaTransition
from tests.integration.admin.making import (
    parked_saga,
    paused_saga,
    saga,
    sagas_in_all_states,
    step_back,
)
from tests.integration.admin.saga_pages import LIST, url

MOST_QUERIES = 14


class TestSeeing:
    """The list and the page."""

    def test_list_and_pages_render_every_state(self, as_, reader):
        """Sagas in every state, with steps in every state."""
        made = sagas_in_all_states()
        page = as_(reader).get(LIST).content.decode()
        for one in made:
            assert one.key in page
            detail = as_(reader).get(url(one))
            assert detail.status_code == 200
            assert "inventory" in detail.content.decode()

    def test_filters_those_that_need_attention(self, as_, reader):
        """One click leads to what waits for a person."""
        made, _ = parked_saga(), saga()
        rows = as_(reader).get(LIST, {"state": "needs_attention"}).context["cl"].result_list
        assert list(rows) == [made]

    def test_searches(self, as_, reader):
        """By id, by the key of what it works on, and by words of the reason."""
        made, _ = parked_saga(), saga()
        for term in (str(made.id), made.key, "inventory failed"):
            assert list(as_(reader).get(LIST, {"q": term}).context["cl"].result_list) == [made], term

    def test_the_page_tells_the_story(self, as_, reader, settings):
        """Steps with attempts and errors, their messages and Flower tasks, the history, the order."""
        settings.FLOWER_URL = "https://flower.example.org"
        made = saga()
        step_back(made, ConnectionError("The <shelf> is unreachable"))
        step = SagaStep.objects.get(saga=made)
        page = as_(reader).get(url(made)).content.decode()
        assert "Scheduled again" in page
        assert page.count("ConnectionError: The &lt;shelf&gt; is unreachable") >= 2
        assert f"/admin/outbox/message/{step.message_id}/change/" in page
        assert f"https://flower.example.org/task/{step.message_id}" in page
        assert f"/admin/orders/order/{made.key}/change/" in page
        for line in ("started", "inventory: attempt started", "inventory: will retry", "celery@one"):
            assert line in page

    @pytest.mark.parametrize("count", [1, 20])
    def test_number_of_queries_does_not_grow(self, as_, reader, count, django_assert_max_num_queries):
        """Twenty sagas with many steps need no more queries than one."""
        made = [saga() for _ in range(count)]
        for _ in range(min(count, 5)):
            step_back(made[0], ConnectionError("gone"))
        for n in range(count):
            SagaStep.objects.create(
                saga=made[0],
                name=f"s{n}",
                direction="action",
                position=n,
                message_id=uuid4(),
                status="scheduled",
            )
        browser = as_(reader)
        with django_assert_max_num_queries(MOST_QUERIES):
            browser.get(LIST)
        with django_assert_max_num_queries(MOST_QUERIES):
            browser.get(url(made[0]))

    def test_never_edited_or_deleted(self, as_, superuser):
        """Not even by who may do everything."""
        made = saga()
        assert as_(superuser).post(url(made), {"key": "x"}).status_code == 403
        assert as_(superuser).post(url(made, "delete"), {"post": "yes"}).status_code == 403
        assert as_(superuser).get(f"{LIST}add/").status_code == 403


def test_says_why_it_needs_attention_and_why_it_compensated(as_, reader):
    """Both are there, and the more urgent one is in the list."""
    made = parked_saga()
    Saga.objects.filter(pk=made.pk).update(reason="The card was declined.")
    page = as_(reader).get(url(made)).content.decode()
    assert "The card was declined." in page
    assert "The message of inventory failed." in page
    assert "The message of inventory failed." in as_(reader).get(LIST).content.decode()


def test_what_needs_somebody_stands_above_the_list(as_, reader):
    """Sagas that are parked, services that are away, each with its link; not above a filtered list."""
    made, _ = parked_saga(), saga()
    now = made.started_at
    BreakerState.objects.create(
        name="payment", state="open", opened_at=now, open_until=now, last_error="ConnectError: gone"
    )
    page = as_(reader).get(LIST).content.decode()
    assert "1 saga needs attention" in page
    assert "ConnectError: gone" in page
    assert "saga needs attention" not in as_(reader).get(LIST, {"state": "running"}).content.decode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"state": "needs_attention"}, "parked"),
        ({"step": "inventory", "state": "running"}, "running"),
        ({"waits_for": "payment"}, "waiting"),
        ({"reason": "inventory failed"}, "parked"),
        ({"state": "paused"}, "paused"),
        ({"definition": "orders.fulfilment", "state": "overdue"}, "overdue"),
    ],
)
def test_filters(as_, reader, given, expected):
    """Each narrows the list to what it says, and lives in the address."""
    made = {
        "parked": parked_saga(),
        "running": saga(),
        "paused": paused_saga(),
        "waiting": saga(),
        "overdue": saga(),
    }
    step = SagaStep.objects.get(saga=made["waiting"])
    SagaStep.objects.filter(saga__in=[made[n] for n in ("paused", "waiting", "overdue")]).update(
        name="elsewhere"
    )
    DependencyWait.objects.create(
        step=step, dependency="payment", reason="away", until=made["parked"].started_at
    )
    Saga.objects.filter(pk=made["overdue"].pk).update(deadline_at=made["overdue"].started_at)
    rows = as_(reader).get(LIST, given).context["cl"].result_list
    assert [row.pk for row in rows] == [made[expected].pk]


def test_personal_data_is_hidden_from_readers(as_, reader, superuser):
    """In errors, history and reasons; who may see it, does."""
    made = parked_saga()
    step_back_error = "Refused for ada@example.org"
    Saga.objects.filter(pk=made.pk).update(
        attention=step_back_error, context={"payment": {"card": "tok_secret"}}
    )
    SagaTransition.objects.filter(saga=made, what="parked").update(detail=step_back_error)
    for page in (url(made), LIST, f"{LIST}{made.pk}/live/"):
        assert "ada@example.org" not in as_(reader).get(page).content.decode(), page
        assert "tok_secret" not in as_(reader).get(page).content.decode(), page
    assert "ada@example.org" in as_(superuser).get(url(made)).content.decode()
