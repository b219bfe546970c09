"""Pauses and rate limits on their pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from outbox.models import Pause, RateLimit
from tests.integration.admin.making import message, said

PAUSES, LIMITS = "/admin/outbox/pause/", "/admin/outbox/ratelimit/"
PAUSE = {"scope": "type", "value": "orders.order_paid", "reason": "The provider is down."}
LIMIT = {"type": "orders.order_paid", "per_second": "5", "burst": "", "reason": "The provider is slow."}


def test_a_pause_is_made_and_ended_with_who_and_why(as_, operator):
    """By the form and by the button; both are in the audit, and what waited is due again."""
    browser = as_(operator)
    assert browser.post(f"{PAUSES}add/", PAUSE).headers["Location"] == PAUSES
    made = Pause.objects.get()
    assert (made.value, made.paused_by, made.reason) == (PAUSE["value"], "olga", PAUSE["reason"])
    held = message(waits_for=made.pk)
    page = browser.get(PAUSES).content.decode()
    assert "The provider is down." in page
    assert "state=waiting" in page
    assert str(made.pk) in browser.get(f"/admin/outbox/message/{held.pk}/change/").content.decode()
    response = browser.post(f"{PAUSES}{made.pk}/operate/resume/", follow=True)
    assert response.redirect_chain[-1][0] == PAUSES
    assert "1 pause was ended" in said(response)[0]
    held.refresh_from_db()
    assert held.waits_for is None
    assert LogEntry.objects.filter(user=operator).count() == 2


def test_the_page_says_what_the_relays_are_still_to_let_go(as_, operator, monkeypatch):
    """Where so much waited that not all of it was let go at once."""
    monkeypatch.setattr("outbox.controls.AT_ONCE", 1)
    monkeypatch.setattr("outbox.controls.BATCH", 1)
    browser = as_(operator)
    browser.post(f"{PAUSES}add/", PAUSE)
    made = Pause.objects.get()
    for _ in range(3):
        message(waits_for=made.pk)
    response = browser.post(f"{PAUSES}{made.pk}/operate/resume/", follow=True)
    assert "2 more messages are let go by the relays within about a minute." in said(response)


def test_a_limits_page_says_so_too(as_, operator, monkeypatch):
    """Where its line was so long that not all of it was let go at once."""
    monkeypatch.setattr("outbox.controls.AT_ONCE", 1)
    monkeypatch.setattr("outbox.controls.BATCH", 1)
    browser = as_(operator)
    browser.post(f"{LIMITS}add/", LIMIT)
    slot = timezone.now() + timedelta(hours=1)
    for _ in range(3):
        message(next_attempt_at=slot, put_off_until=slot)
    response = browser.post(f"{LIMITS}{LIMIT['type']}/operate/lift/", follow=True)
    assert "2 more messages are let go by the relays within about a minute." in said(response)


@pytest.mark.parametrize("change", [{"value": ""}, {"reason": ""}, {"scope": "planet"}])
def test_a_pause_needs_its_facts(as_, operator, change):
    """The form comes again, with the error at its field."""
    response = as_(operator).post(f"{PAUSES}add/", {**PAUSE, **change})
    assert response.context["adminform"].form.errors[next(iter(change))]
    assert not Pause.objects.exists()


def test_a_second_pause_of_the_same_is_refused_kindly(as_, operator):
    """It is paused already, and the page says so."""
    as_(operator).post(f"{PAUSES}add/", PAUSE)
    response = as_(operator).post(f"{PAUSES}add/", PAUSE, follow=True)
    assert "already" in str([*said(response), response.redirect_chain, response.context.get("errors")])
    assert Pause.objects.count() == 1


def test_a_name_that_nobody_knows_is_doubted(as_, operator):
    """It is taken, with a word about what was probably meant."""
    response = as_(operator).post(f"{PAUSES}add/", {**PAUSE, "value": "orders.order_payed"}, follow=True)
    assert any("Did you mean" in text for text in said(response))
    assert Pause.objects.exists()


def test_a_limit_is_set_replaced_and_lifted(as_, operator):
    """The form replaces an earlier one; the button lifts it."""
    browser = as_(operator)
    browser.post(f"{LIMITS}add/", LIMIT)
    browser.post(f"{LIMITS}add/", {**LIMIT, "per_second": "0.5"})
    made = RateLimit.objects.get()
    assert (made.per_second, made.burst, made.set_by) == (0.5, 1, "olga")
    assert "0.5" in browser.get(LIMITS).content.decode()
    response = browser.post(f"{LIMITS}{made.pk}/operate/lift/", follow=True)
    assert "1 rate limit was lifted" in said(response)[0]
    assert not RateLimit.objects.exists()
    assert LogEntry.objects.filter(user=operator).count() == 3


def test_readers_see_and_do_not_control(as_, operator, reader):
    """403 in each handler, by GET and by POST."""
    as_(operator).post(f"{PAUSES}add/", PAUSE)
    as_(operator).post(f"{LIMITS}add/", LIMIT)
    browser, pause = as_(reader), Pause.objects.get()
    for url in (PAUSES, LIMITS):
        assert browser.get(url).status_code == 200
        assert browser.get(f"{url}add/").status_code == 403
    assert browser.post(f"{PAUSES}add/", {**PAUSE, "value": "x"}).status_code == 403
    assert browser.post(f"{LIMITS}add/", {**LIMIT, "type": "x"}).status_code == 403
    assert browser.post(f"{PAUSES}{pause.pk}/operate/resume/").status_code == 403
    assert browser.post(f"{LIMITS}orders.order_paid/operate/lift/").status_code == 403
    assert (Pause.objects.count(), RateLimit.objects.count()) == (1, 1)
