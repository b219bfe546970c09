"""An operation on all sagas that match."""

from __future__ import annotations

from tests.integration.admin.making import (
    entries,
    parked_saga,
    saga,
    said,
)
from tests.integration.admin.saga_pages import LIST, REASON, state


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
