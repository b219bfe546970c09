"""What people do to sagas."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry

from outbox.models import Message
from outbox.saga.models import Saga, SagaStep
from tests.integration.admin.making import (
    entries,
    parked_saga,
    paused_saga,
    saga,
    said,
)
from tests.integration.admin.saga_pages import LIST, REASON, state, url

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


def test_a_resumed_saga_goes_on(as_, operator):
    """Its step has a message that is due again."""
    made = parked_saga()
    as_(operator).post(url(made, "operate/resume"), REASON)
    step = SagaStep.objects.get(saga=made)
    assert Message.objects.get(pk=step.message_id).status == "pending"
