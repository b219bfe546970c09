"""Sagas: seen, resumed, cancelled."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from outbox.models import Message
from outbox.saga.models import Saga, SagaStep
from tests.integration.admin.making import entries, parked_saga, saga, sagas_in_all_states, said, step_back

LIST = "/admin/saga/saga/"
REASON = {"reason": "The provider is back."}
MOST_QUERIES = 14


def url(made: Saga, page: str = "change") -> str:
    """The address of one of the saga's pages."""
    return f"{LIST}{made.pk}/{page}/"


def state(made: Saga) -> dict[str, Any]:
    """The saga's columns as they are now."""
    return Saga.objects.filter(pk=made.pk).values().get()


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


@pytest.mark.parametrize(("operation", "make"), [("resume", parked_saga), ("cancel", saga)])
class TestOperating:
    """What holds for both operations."""

    def test_is_refused_without_permission(self, as_, reader, operation, make):
        """403 in the handlers, nothing changed, nothing noted; no button."""
        made = make()
        before = state(made)
        assert as_(reader).post(url(made, f"operate/{operation}"), REASON).status_code == 403
        form = {"action": operation, "_selected_action": made.pk, "index": 0, "confirmed": 1, **REASON}
        assert as_(reader).post(LIST, form).status_code == 403
        assert "/operate/" not in as_(reader).get(url(made)).content.decode()
        assert state(made) == before
        assert not LogEntry.objects.exists()

    def test_needs_a_reason(self, as_, operator, operation, make):
        """The page asks; without an answer nothing happens."""
        made = make()
        before = state(made)
        assert as_(operator).get(url(made, f"operate/{operation}")).status_code == 200
        response = as_(operator).post(url(made, f"operate/{operation}"), {"reason": " "})
        assert response.context["form"].errors["reason"]
        assert state(made) == before

    def test_works_and_is_audited(self, as_, reader_with, operation, make):
        """With the permission: done, with who and why in the saga's own history and in the audit."""
        user, made = reader_with("saga.operate_saga"), make()
        assert url(made, f"operate/{operation}") in as_(user).get(url(made)).content.decode()
        response = as_(user).post(url(made, f"operate/{operation}"), REASON, follow=True)
        assert said(response)[0].startswith("1 saga ")
        assert entries(user) == [
            (
                str(made.pk),
                f"{operation.title().rstrip('e')}{'led' if operation == 'cancel' else 'ed'}: {REASON['reason']}",
            )
        ]
        assert made.transitions.filter(actor=user.get_username(), detail=REASON["reason"]).exists()
        expected = {"resume": ["running"], "cancel": ["compensating", "compensated"]}[operation]
        assert state(made)["status"] in expected

    def test_refusals_are_told_one_by_one(self, as_, operator, operation, make):
        """Of several, those in the wrong state stay as they are, and the page says which and why."""
        good, bad = make(), saga()
        Saga.objects.filter(pk=bad.pk).update(status="completed", ended_at=bad.started_at)
        before = state(bad)
        form = {
            "action": operation,
            "_selected_action": [good.pk, bad.pk],
            "index": 0,
            "confirmed": 1,
            **REASON,
        }
        response = as_(operator).post(LIST, form, follow=True)
        texts = said(response)
        assert [text.split()[0] for text in texts[:2]] == ["1", "1"]
        assert str(bad) in texts[2]
        assert state(bad) == before
        assert [pk for pk, _ in entries(operator)] == [str(good.pk)]

    def test_a_definition_that_is_gone_is_told(self, as_, operator, operation, make):
        """A saga of an application that is no longer installed is no error page."""
        made = make()
        Saga.objects.filter(pk=made.pk).update(definition="legacy.saga")
        response = as_(operator).post(url(made, f"operate/{operation}"), REASON, follow=True)
        assert "No saga 'legacy.saga'" in said(response)[-1]


def test_a_saga_is_called_off_once(as_, operator):
    """The second of two operators is told, and the audit names the first one only."""
    made = saga()
    Saga.objects.filter(pk=made.pk).update(cancel_requested=True, reason="The first one's reason.")
    response = as_(operator).post(url(made, "operate/cancel"), REASON, follow=True)
    assert "called off already" in said(response)[-1]
    assert state(made)["reason"] == "The first one's reason."
    assert not LogEntry.objects.exists()


def test_says_why_it_needs_attention_and_why_it_compensated(as_, reader):
    """Both are there, and the more urgent one is in the list."""
    made = parked_saga()
    Saga.objects.filter(pk=made.pk).update(reason="The card was declined.")
    page = as_(reader).get(url(made)).content.decode()
    assert "The card was declined." in page
    assert "The message of inventory failed." in page
    assert "The message of inventory failed." in as_(reader).get(LIST).content.decode()


def test_a_resumed_saga_goes_on(as_, operator):
    """Its step has a message that is due again."""
    made = parked_saga()
    as_(operator).post(url(made, "operate/resume"), REASON)
    step = SagaStep.objects.get(saga=made)
    assert Message.objects.get(pk=step.message_id).status == "pending"
