"""The fault switches: seen by readers, switched by operators, audited; with a real sandbox behind them."""

from __future__ import annotations

from pathlib import Path

from django.test import Client

from orders.sandbox.client import SandboxClient
from tests.integration.admin.making import entries
from tests.integration.admin.test_console import INLINE_SCRIPT

PAGE = "/admin/orders/faultswitch/"
SWITCH = f"{PAGE}payment/switch/"
HALF = {
    "payment-error_rate": 50,
    "payment-lost_response_rate": 0,
    "payment-decline_rate": 10,
    "payment-latency_ms": 300,
}


def test_an_operator_switches_and_it_is_audited(as_, operator, sandbox):
    """The form's percents become the sandbox's shares; who and what is in the audit; the page shows it."""
    answer = as_(operator).post(SWITCH, HALF, follow=True)
    assert answer.redirect_chain[-1][0] == PAGE
    faults = sandbox.faults()["payment"]
    assert (faults["error_rate"], faults["decline_rate"], faults["latency_ms"]) == (0.5, 0.1, 300)
    assert entries(operator) == [("payment", "Switched: 50% errors, 10% declines, 300 ms latency")]
    assert "50% errors, 10% declines, 300 ms latency" in answer.content.decode()
    assert sandbox.faults()["shipping"]["error_rate"] == 0


def test_a_preset_is_one_press(as_, operator, sandbox):
    """Whatever the sliders say."""
    as_(operator).post(SWITCH, {**HALF, "preset": "down"})
    assert sandbox.faults()["payment"]["down"]
    as_(operator).post(SWITCH, {"preset": "well"})
    assert not sandbox.faults()["payment"]["down"]


def test_htmx_gets_the_card_alone(as_, operator, sandbox):
    """With the new state, and with what is wrong beside its field."""
    answer = as_(operator).post(SWITCH, {"preset": "half"}, headers={"HX-Request": "true"})
    assert "50% errors" in answer.content.decode()
    assert "<html" not in answer.content.decode()
    wrong = (
        as_(operator)
        .post(SWITCH, {**HALF, "payment-error_rate": 200}, headers={"HX-Request": "true"})
        .content.decode()
    )
    assert "less than or equal to 100" in wrong
    assert sandbox.faults()["payment"]["error_rate"] == 0.5


def test_a_reader_sees_and_does_not_switch(as_, reader, sandbox):
    """403 in the handler; the page has no way to try."""
    page = as_(reader).get(PAGE).content.decode()
    assert "You may look, and not switch." in page
    assert as_(reader).post(SWITCH, {"preset": "down"}).status_code == 403
    assert not sandbox.faults()["payment"]["down"]


def test_needs_the_csrf_token(operator, sandbox):
    """A form of another site switches nothing."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(operator)
    assert browser.post(SWITCH, {"preset": "down"}).status_code == 403
    assert not sandbox.faults()["payment"]["down"]


def test_strangers_are_sent_to_sign_in(client, db, sandbox):
    """Nothing is seen or switched without an account."""
    assert client.get(PAGE).status_code == 302
    assert client.post(SWITCH, {"preset": "down"}).status_code == 302
    assert not sandbox.faults()["payment"]["down"]


def test_without_a_sandbox_there_is_no_page(as_, superuser, settings):
    """Not for anybody, and no entry in the navigation."""
    settings.SANDBOX_TOKEN = ""
    assert as_(superuser).get(PAGE).status_code == 404
    assert as_(superuser).post(SWITCH, {"preset": "down"}).status_code == 404
    assert PAGE not in as_(superuser).get("/admin/").content.decode()


def test_a_sandbox_that_is_away_is_told(as_, operator, settings):
    """In words, with the page still there; nothing is said to have been switched."""
    settings.SANDBOX_URL, settings.SANDBOX_TOKEN = "http://127.0.0.1:9", "secret"
    assert "gave no answer" in as_(operator).get(PAGE).content.decode()
    assert "gave no answer" in as_(operator).post(SWITCH, {"preset": "down"}, follow=True).content.decode()
    assert entries(operator) == []


def test_the_audit_leads_back(as_, superuser, sandbox):
    """Its link to the service opens the page, and the service has a history."""
    as_(superuser).post(SWITCH, {"preset": "slow"})
    assert as_(superuser).get(f"{PAGE}payment/change/", follow=True).redirect_chain[-1][0] == PAGE
    assert "2000 ms latency" in as_(superuser).get(f"{PAGE}payment/history/").content.decode()


def test_an_unknown_service_is_not_found(as_, superuser, sandbox: SandboxClient, tmp_path: Path):
    """404, nothing else."""
    assert as_(superuser).post(f"{PAGE}weather/switch/", {"preset": "down"}).status_code == 404


def test_works_under_the_policy(as_, superuser, sandbox):
    """No inline script, and nothing to add by hand."""
    page = as_(superuser).get(PAGE)
    assert page.status_code == 200
    assert not INLINE_SCRIPT.findall(page.content.decode())
    assert as_(superuser).get(f"{PAGE}add/").status_code in (302, 403)
