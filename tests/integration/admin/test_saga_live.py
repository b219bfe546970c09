"""A saga's page while it runs."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import User

from outbox.saga.models import Saga, SagaTransition
from tests.integration.admin.making import (
    saga,
    step_back,
)
from tests.integration.admin.saga_pages import LIST, url


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
