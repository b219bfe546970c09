"""What people do to one step of a saga."""

from __future__ import annotations

import pytest

from outbox.saga.models import SagaStep
from tests.integration.admin.making import (
    entries,
    parked_saga,
    saga,
    said,
)
from tests.integration.admin.saga_pages import REASON, state, url


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
