"""All sagas of a definition, paused."""

from __future__ import annotations

from outbox.saga.models import SagaPause
from tests.integration.admin.making import (
    entries,
    said,
)
from tests.integration.admin.saga_pages import LIST, REASON


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
