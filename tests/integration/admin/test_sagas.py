"""Sagas: seen, resumed, cancelled."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from outbox.models import Message
from outbox.saga import operations
from outbox.saga.dependencies.models import BreakerState, DependencyWait
from outbox.saga.models import Saga, SagaPause, SagaStep, SagaTransition
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


def paused_saga() -> Saga:
    """A saga that a person holds."""
    made = saga()
    operations.pause(made.id, actor="olga", reason="Wait.")
    return made


OPERATED = [
    ("resume", parked_saga, "Resumed", {"running"}),
    ("compensate", parked_saga, "Compensated", {"compensating", "compensated"}),
    ("retry", saga, "Retried now", {"running"}),
    ("cancel", saga, "Cancelled", {"compensating", "compensated"}),
    ("pause", saga, "Paused", {"running"}),
    ("unpause", paused_saga, "Pause ended", {"running"}),
]


@pytest.mark.parametrize(("operation", "make", "said_in_audit", "states"), OPERATED)
class TestOperating:
    """What holds for every operation."""

    def test_is_refused_without_permission(self, as_, reader, operation, make, said_in_audit, states):
        """403 in the handlers, nothing changed, nothing noted; no button."""
        made = make()
        before = state(made)
        assert as_(reader).post(url(made, f"operate/{operation}"), REASON).status_code == 403
        form = {"action": operation, "_selected_action": made.pk, "index": 0, "confirmed": 1, **REASON}
        assert as_(reader).post(LIST, form).status_code == 403
        assert "/operate/" not in as_(reader).get(url(made)).content.decode()
        assert state(made) == before
        assert not LogEntry.objects.exists()

    def test_needs_a_reason(self, as_, operator, operation, make, said_in_audit, states):
        """The page asks; without an answer nothing happens."""
        made = make()
        before = state(made)
        assert as_(operator).get(url(made, f"operate/{operation}")).status_code == 200
        response = as_(operator).post(url(made, f"operate/{operation}"), {"reason": " "})
        assert response.context["form"].errors["reason"]
        assert state(made) == before

    def test_works_and_is_audited(self, as_, reader_with, operation, make, said_in_audit, states):
        """With the permission: done, with who and why in the saga's own history and in the audit."""
        user, made = reader_with("saga.operate_saga"), make()
        assert url(made, f"operate/{operation}") in as_(user).get(url(made)).content.decode()
        response = as_(user).post(url(made, f"operate/{operation}"), REASON, follow=True)
        assert said(response)[0].startswith("1 saga ")
        assert entries(user) == [(str(made.pk), f"{said_in_audit}: {REASON['reason']}")]
        assert made.transitions.filter(actor=user.get_username(), detail__contains=REASON["reason"]).exists()
        assert state(made)["status"] in states

    def test_refusals_are_told_one_by_one(self, as_, operator, operation, make, said_in_audit, states):
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

    def test_a_definition_that_is_gone_is_told(self, as_, operator, operation, make, said_in_audit, states):
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


class TestSteps:
    """Operations on one step: from its row in the table, with the step chosen."""

    def test_skip_goes_on_without_it(self, as_, operator):
        """The step counts as done, the next one is reached; history and audit say who, which and why."""
        made = parked_saga()
        page = as_(operator).get(url(made)).content.decode()
        assert f"{url(made, 'operate/skip')}?step=inventory" in page
        response = as_(operator).post(url(made, "operate/skip"), {"step": "inventory", **REASON}, follow=True)
        assert said(response) == ["A step of 1 saga was skipped."]
        assert entries(operator) == [(str(made.pk), f"Skipped inventory: {REASON['reason']}")]
        assert state(made)["status"] == "running"
        steps = dict(SagaStep.objects.filter(saga=made).values_list("name", "status"))
        assert steps == {"inventory": "skipped", "payment": "scheduled"}

    def test_mark_done_keeps_the_result(self, as_, operator):
        """As if the step's work had returned it."""
        made = saga()
        given = {"step": "inventory", "result": '{"lines": 7}', **REASON}
        as_(operator).post(url(made, "operate/done"), given)
        assert SagaStep.objects.get(saga=made, name="inventory").result == {"lines": 7}
        assert state(made)["context"] == {"inventory": {"lines": 7}}

    def test_what_is_no_json_is_told_beside_its_field(self, as_, operator):
        """And nothing happens."""
        made = saga()
        before = state(made)
        given = {"step": "inventory", "result": "{lines", **REASON}
        response = as_(operator).post(url(made, "operate/done"), given)
        assert response.context["form"].errors["result"]
        assert state(made) == before

    def test_resume_from_a_later_step(self, as_, operator):
        """What stands before it is skipped."""
        made = parked_saga()
        as_(operator).post(url(made, "operate/resume-from"), {"step": "payment", **REASON})
        steps = dict(SagaStep.objects.filter(saga=made).values_list("name", "status"))
        assert steps == {"inventory": "skipped", "payment": "scheduled"}

    def test_a_step_that_is_not_offered_is_refused(self, as_, operator):
        """A form that was made up changes nothing."""
        made = saga()
        before = state(made)
        response = as_(operator).post(url(made, "operate/skip"), {"step": "shipping", **REASON})
        assert response.context["form"].errors["step"]
        assert state(made) == before

    @pytest.mark.parametrize("operation", ["skip", "done", "resume-from"])
    def test_is_refused_without_permission(self, as_, reader, operation):
        """403 in the handler, for GET and POST."""
        made = parked_saga()
        before = state(made)
        for ask in (as_(reader).get, as_(reader).post):
            assert ask(url(made, f"operate/{operation}"), {"step": "inventory", **REASON}).status_code == 403
        assert state(made) == before


class TestLive:
    """The part of the page that asks for itself again."""

    def live(self, browser: Any, made: Saga, mark: str = "") -> Any:
        """What the page would get now."""
        return browser.get(f"{LIST}{made.pk}/live/", {"mark": mark})

    def test_is_empty_while_nothing_happens_and_new_when_something_did(self, as_, reader):
        """So that a reader's focus and place stay."""
        made, browser = saga(), as_(reader)
        first = self.live(browser, made)
        mark = re.search(r"mark=([\w-]+)", first.content.decode()).group(1)
        assert self.live(browser, made, mark).status_code == 204
        step_back(made, ConnectionError("gone"))
        after = self.live(browser, made, mark)
        assert after.status_code == 200
        assert "ConnectionError: gone" in after.content.decode()

    def test_an_ended_saga_asks_no_more(self, as_, reader):
        """Nothing can happen to it."""
        made = saga()
        Saga.objects.filter(pk=made.pk).update(status="completed", ended_at=made.started_at)
        assert "hx-get" not in self.live(as_(reader), made).content.decode()

    def test_needs_permission(self, as_, client, superuser, db):
        """Of whoever may see sagas."""
        from django.contrib.auth.models import User

        made = saga()
        stranger = User.objects.create_user("stan", is_staff=True)
        assert self.live(as_(stranger), made).status_code == 403
        assert self.live(client, made).status_code == 302


def test_the_drawing_shows_attempts_waits_and_errors(as_, reader):
    """Each attempt a bar that leads to its line in the history, each wait a line."""
    made = saga()
    step_back(made, ConnectionError("The shelf is away"))
    page = as_(reader).get(url(made)).content.decode()
    failed = SagaTransition.objects.get(saga=made, what="will retry")
    assert f'href="#line-{failed.pk}"' in page
    assert f'id="line-{failed.pk}"' in page
    assert "inventory: failed, tried again (attempt 1)" in page
    assert "saga-wait" in page


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


class TestBulk:
    """An operation on everything that matches."""

    PAGE = f"{LIST}bulk/"

    def test_counts_first_and_changes_nothing(self, as_, operator):
        """The form offers what can be done with its numbers; the next page asks again."""
        parked = [parked_saga() for _ in range(3)]
        saga()
        browser = as_(operator)
        assert "Resume (3)" in browser.get(self.PAGE, {"state": "needs_attention"}).content.decode()
        asked = browser.post(f"{self.PAGE}?state=needs_attention", {"operation": "resume", **REASON})
        assert "Resume 3 sagas?" in asked.content.decode()
        assert {state(one)["status"] for one in parked} == {"needs_attention"}

    def test_works_batch_by_batch_up_to_what_was_counted(self, as_, operator, monkeypatch):
        """Each request one batch; a saga that came after the count stays; each one is in the audit."""
        monkeypatch.setattr("outbox.saga.admin.bulk.BATCH", 2)
        parked = [parked_saga() for _ in range(3)]
        browser, address = as_(operator), f"{self.PAGE}?state=needs_attention"
        hidden = dict(browser.post(address, {"operation": "resume", **REASON}).context["hidden"])
        late = parked_saga()
        first = browser.post(address, {k: v for k, v in hidden.items() if v is not None})
        assert first.context["progress"].done == 2
        hidden = dict(first.context["hidden"])
        last = browser.post(address, {k: v for k, v in hidden.items() if v is not None}, follow=True)
        assert "3 sagas were resumed." in said(last)
        assert {state(one)["status"] for one in parked} == {"running"}
        assert state(late)["status"] == "needs_attention"
        assert len(entries(operator)) == 3

    def test_is_refused_without_permission(self, as_, reader):
        """403 in the handler; no link."""
        made = parked_saga()
        given = {"operation": "resume", "last": made.pk, "total": 1, **REASON}
        assert as_(reader).get(self.PAGE).status_code == 403
        assert as_(reader).post(self.PAGE, given).status_code == 403
        assert self.PAGE not in as_(reader).get(LIST).content.decode()
        assert state(made)["status"] == "needs_attention"

    def test_a_filter_that_is_none_is_told(self, as_, operator):
        """As the list does."""
        assert as_(operator).get(self.PAGE, {"state": "nonsense"}).status_code == 302


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


class TestPausingADefinition:
    """All its sagas, from a page of its own."""

    PAUSE = f"{LIST}definitions/orders.fulfilment/pause/"
    UNPAUSE = f"{LIST}definitions/orders.fulfilment/unpause/"

    def test_pauses_and_goes_on(self, as_, operator):
        """Told above the list with who and why, audited, and ended the same way."""
        browser = as_(operator)
        assert self.PAUSE in browser.get(LIST).content.decode()
        assert browser.get(self.PAUSE).status_code == 200
        browser.post(self.PAUSE, REASON)
        page = browser.get(LIST).content.decode()
        assert "is paused since" in page
        assert REASON["reason"] in page
        browser.post(self.UNPAUSE, REASON)
        assert "is paused since" not in browser.get(LIST).content.decode()
        assert [said for _, said in reversed(entries(operator))] == [
            f"Paused orders.fulfilment: {REASON['reason']}",
            f"Ended the pause of orders.fulfilment: {REASON['reason']}",
        ]

    def test_twice_is_told(self, as_, operator):
        """The second is refused in words."""
        as_(operator).post(self.PAUSE, REASON)
        assert "paused already" in said(as_(operator).post(self.PAUSE, REASON, follow=True))[-1]

    def test_is_refused_without_permission(self, as_, reader):
        """403 in the handler."""
        assert as_(reader).get(self.PAUSE).status_code == 403
        assert as_(reader).post(self.PAUSE, REASON).status_code == 403
        assert not SagaPause.objects.exists()

    def test_an_unknown_definition_is_not_found(self, as_, superuser):
        """404."""
        assert as_(superuser).post(f"{LIST}definitions/no.such/pause/", REASON).status_code == 404
