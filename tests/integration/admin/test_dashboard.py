"""The console's first page."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from outbox.admin.dashboard import broker, flow, panels, progress
from outbox.admin.dashboard.failures import kind_of
from outbox.admin.dashboard.panels import panels_for
from outbox.admin.rendering import NOTHING
from outbox.exceptions import BrokerUnavailable
from outbox.models import Message
from tests.integration.admin.making import dead, message, parked_saga, states

PANELS = "/admin/outbox/message/panels/"


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """No minute of an earlier test."""
    cache.clear()


def figures(browser: Any, name: str) -> dict[str, tuple[str, str]]:
    """The figures of a panel: for each name its value and address."""
    page = browser.get(f"{PANELS}{name}/").content.decode()
    found = re.findall(
        r'<a href="([^"]+)" id="[^"]+">\s*<span[^>]*>([^<]+)</span>\s*<span[^>]*>([^<]+)</span>', page
    )
    return {unescape(text): (value, unescape(url)) for url, text, value in found}


def test_every_figure_leads_to_as_many_rows(as_, reader):
    """The list behind a figure has as many rows as the figure says."""
    for state in states():
        message(state)
    Message.objects.create(type="a.later", next_attempt_at=timezone.now() + timedelta(hours=1))
    Message.objects.create(type="a.held", waits_for=message("dead").pk)
    shown = figures(as_(reader), "messages")
    assert shown["Failed: dead letters"][0] == "2"
    assert shown["Pending, due later"][0] == shown["Pending, held back"][0] == "1"
    for name, (value, url) in shown.items():
        if name.startswith("Lag"):
            continue
        assert str(len(as_(reader).get(url).context["cl"].result_list)) == value, name


def test_lag_is_the_age_of_the_oldest_due_message(as_, reader):
    """Of any priority; what is held back or due later is not late."""
    now = timezone.now()
    message(next_attempt_at=now - timedelta(minutes=5), priority=9)
    message(next_attempt_at=now - timedelta(minutes=2), priority=0)
    message(next_attempt_at=now - timedelta(hours=9), waits_for=message("dead").pk)
    assert figures(as_(reader), "messages")["Lag: oldest due"][0] == "5 min"


def test_lag_and_due_agree(as_, reader):
    """Also when a relay gives back everything between two looks, as it does while the broker is away."""
    for _ in range(2):
        message()

    def give_back(execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if "outbox_message" in sql and sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.cursor.execute("UPDATE outbox_message SET next_attempt_at = now() + interval '5 s'")
        return found

    with connection.execute_wrapper(give_back):
        shown = figures(as_(reader), "messages")
    assert shown["Pending, and due"][0] == "2"
    assert shown["Lag: oldest due"][0] != NOTHING


def test_failures_are_grouped_by_type_and_by_kind_of_error(as_, reader):
    """What differs from error to error does not make a group; each number leads to its messages."""
    for n in range(3):
        message("dead", last_error=f"ConnectError: host {n} refused")
    message("dead", type="legacy.thing", last_error="KeyError: 'x'")
    message("retrying")
    page = as_(reader).get(f"{PANELS}failures/").content.decode()
    url = next(unescape(u) for u in re.findall(r'href="([^"]+)"', page) if "ConnectError" in u)
    assert len(as_(reader).get(url).context["cl"].result_list) == 3
    assert "legacy.thing" in page
    assert "SMTPServerDisconnected: gone" in page


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ConnectError: [Errno 111]", "ConnectError:"),
        ("KeyError: 'x'", "KeyError:"),
        ("'x' is missing", "'x' is missing"),
        ("", ""),
        ("Lost\nand found", "Lost"),
    ],
)
def test_a_kind_of_error_is_its_beginning(error, kind):
    """Up to the first number, quotation or bracket: a text that the list's filter finds again."""
    assert kind_of(error) == kind
    assert kind in error


def test_flow_counts_minutes_once_they_are_over(as_, reader, monkeypatch, django_assert_max_num_queries):
    """Written by id, consumed by time; what is over and settled is asked once and then remembered."""
    monkeypatch.setattr(flow, "BUDGET", 30.0)
    now = timezone.now()
    for _ in range(3):
        message()
    message("consumed", consumed_at=now - timedelta(minutes=10))
    minutes = flow.flow(as_request(reader))["minutes"]
    assert sum(written for _, written, _ in minutes) == 4
    assert [consumed for _, _, consumed in minutes if consumed] == [1]
    with django_assert_max_num_queries(8):
        flow.flow(as_request(reader))


def as_request(user: Any) -> Any:
    """A request of a user."""
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = user
    return request


def test_flow_says_what_it_could_not_count(as_, reader, monkeypatch):
    """Without time nothing is counted, and a gap is not drawn as zero."""
    monkeypatch.setattr(flow, "BUDGET", -1.0)
    page = as_(reader).get(f"{PANELS}flow/").content.decode()
    assert "still being counted" in page


class TestProgress:
    """Who is at work, by what the rows say."""

    @pytest.mark.parametrize(
        ("waits", "rests", "word"),
        [
            (None, None, "At rest"),
            (None, 300, "At rest"),
            (None, 5, "Working"),
            (5, None, "Working"),
            (5, 300, "Working"),
            (300, 5, "Behind"),
            (300, 300, "Stuck"),
            (300, None, "Stuck"),
        ],
    )
    def test_a_verdict_needs_both_work_and_progress(self, db, waits, rests, word):
        """Nothing waits: at rest. Something old waits: stuck without progress, behind with it."""
        latest = timezone.now() - timedelta(seconds=rests) if rests is not None else None
        assert word in progress.verdict(waits, latest)

    def test_a_queue_that_nobody_consumes_is_stuck(self, as_, reader):
        """Only that one; the others rest."""
        sent = {"sent_at": timezone.now() - timedelta(minutes=9), "queue": "payment"}
        message("unconsumed", **sent)
        page = as_(reader).get(f"{PANELS}progress/").content.decode()
        rows = [re.sub(r"<[^>]+>|\s+", " ", row) for row in page.split("<tr>")]
        assert ["Stuck" in row for row in rows if "Consumers of payment" in row] == [True]
        assert ["Stuck" in row for row in rows if "Consumers of shipping" in row] == [False]

    def test_a_relay_that_does_not_send_is_stuck(self, as_, reader):
        """Something is due for long, and nothing was sent."""
        message(next_attempt_at=timezone.now() - timedelta(minutes=9))
        page = as_(reader).get(f"{PANELS}progress/").content.decode()
        assert "Stuck" in page.split("Relays")[1].split("</tr>")[0]


class TestBroker:
    """Queue depths, by the broker's own word."""

    def test_depths_are_the_brokers(self, as_, reader, broker_):
        """Of each queue, also of one that is empty."""
        broker_.lpush("payment", "x", "y")
        assert figures(as_(reader), "broker")["payment"][0] == "2"
        assert figures(as_(reader), "broker")["inventory"][0] == "0"

    def test_a_broker_that_is_away_is_said_quickly(self, as_, reader, settings, monkeypatch):
        """The page says so, and does not wait for it."""
        from celery import current_app

        from tests.harness.processes import free_port

        monkeypatch.setattr(current_app.conf, "broker_read_url", f"redis://127.0.0.1:{free_port()}/0")
        monkeypatch.setattr(current_app.conf, "broker_url", f"redis://127.0.0.1:{free_port()}/0")
        with pytest.raises(BrokerUnavailable):
            broker.depths(["payment"])
        assert "The broker is away" in as_(reader).get(f"{PANELS}broker/").content.decode()


@pytest.fixture
def broker_(broker: Any) -> Any:
    """The real broker, under a name that the module does not take."""
    return broker


class TestPanels:
    """Each by itself."""

    def test_the_page_has_all_that_one_may_see(self, as_, reader, reader_with):
        """Who sees only messages gets no saga's figures; who sees nothing is told whom to ask."""
        page = as_(reader).get("/admin/").content.decode()
        assert all(f'id="panel-{name}"' in page for name in ("messages", "flow", "progress", "sagas"))
        reader.groups.clear()
        page = as_(reader_with("outbox.view_message")).get("/admin/").content.decode()
        assert 'id="panel-messages"' in page
        assert 'id="panel-sagas"' not in page

    def test_nothing_is_said_of_figures_that_one_may_not_see(self, as_, reader):
        """Neither that they are refreshed, nor how to stop that."""
        assert "Stop refreshing" in as_(reader).get("/admin/").content.decode()
        reader.groups.clear()
        page = as_(type(reader).objects.get(pk=reader.pk)).get("/admin/").content.decode()
        assert "You may see none of these figures" in page
        assert "refresh" not in page

    def test_each_checks_its_permission_in_the_handler(self, as_, reader):
        """403 without it; 404 for one that is none; GET only."""
        names = [panel.name for panel in panels_for(as_request(reader))]
        assert {"messages", "flow", "progress", "broker", "failures", "sagas", "dependencies"} <= set(names)
        assert as_(reader).get(f"{PANELS}nonsense/").status_code == 404
        assert as_(reader).post(f"{PANELS}messages/").status_code == 405
        reader.groups.clear()
        for name in names:
            assert as_(type(reader).objects.get(pk=reader.pk)).get(f"{PANELS}{name}/").status_code == 403

    def test_refreshes_unless_told_not_to(self, as_, reader):
        """By htmx, and a link stops that: what moves by itself can be made to stand still."""
        assert 'hx-trigger="every' in as_(reader).get("/admin/").content.decode()
        assert 'hx-trigger="every' not in as_(reader).get("/admin/?live=off").content.decode()
        assert "hx-trigger" not in as_(reader).get(f"{PANELS}messages/?live=off").content.decode()

    def test_one_that_takes_too_long_harms_no_other(self, as_, reader, monkeypatch):
        """The database ends it; the page says so in its place."""
        monkeypatch.setattr(panels, "MOST_SECONDS", 0.05)

        def read(_request: Any) -> dict[str, Any]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(5)")
            return {}

        monkeypatch.setitem(
            panels._panels,
            "messages",
            panels.Panel(
                "messages", "Messages", "outbox.view_message", "admin/console/panels/figures.html", read
            ),
        )
        page = as_(reader).get("/admin/").content.decode()
        assert "took too long" in page
        assert 'id="panel-failures"' in page


def test_sagas_by_state_and_step(as_, reader):
    """What needs a person comes first, and each figure leads to its sagas."""
    parked_saga()
    shown = figures(as_(reader), "sagas")
    value, url = shown["Needs attention"]
    assert value == "1"
    assert len(as_(reader).get(url).context["cl"].result_list) == 1


def test_numbers_beyond_the_bound_are_not_counted(as_, reader, monkeypatch):
    """A figure stops counting, and says so."""
    from outbox.admin.dashboard import overview

    dead(4)
    monkeypatch.setattr(overview, "counted", lambda rows, most=3: panels.counted(rows, 3))
    assert figures(as_(reader), "messages")["Failed: dead letters"][0] == "3+"
