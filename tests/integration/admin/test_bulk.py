"""Redrive and discard of everything that matches."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from outbox.admin.bulk import work
from outbox.models import BulkOperation, Message
from tests.integration.admin.making import dead, entries, message, said

ALL = "/admin/outbox/message/all/"
WHY = {"reason": "The provider is back."}


def ask(browser: Any, kind: str = "redrive", query: str = "state=dead", **form: Any) -> BulkOperation:
    """Start one by its page."""
    response = browser.post(f"{ALL}{kind}/?{query}", {**WHY, **form})
    bulk = BulkOperation.objects.latest("id")
    assert response.headers["Location"] == f"/admin/outbox/bulkoperation/{bulk.pk}/change/"
    return bulk


def run(bulk: BulkOperation, turn: int = 0) -> BulkOperation:
    """Work as a worker would."""
    work.work.run(str(bulk.pk), turn)
    bulk.refresh_from_db()
    return bulk


def tasks() -> int:
    """Messages that carry a bulk operation on."""
    return Message.objects.filter(type="outbox.bulk").count()


class TestAsking:
    """The page that counts."""

    def test_names_the_number_and_changes_nothing(self, as_, operator):
        """A dry run: how many of each type match, of those that failed and are open."""
        dead(3)
        message("dead", type="legacy.thing")
        message("discarded")
        message("consumed")
        page = as_(operator).get(f"{ALL}redrive/?state=dead").content.decode()
        assert "Redrive 4 messages?" in page
        assert "legacy.thing" in page
        assert not Message.objects.filter(status="pending").exists()
        assert not BulkOperation.objects.exists()

    @pytest.mark.parametrize(("kind", "other"), [("redrive", "discard"), ("discard", "redrive")])
    def test_is_refused_without_the_permission_in_the_handler(self, as_, reader_with, reader, kind, other):
        """403 for who may only read, or only the other one, by GET and by POST; nothing is started."""
        dead(1)
        for user in (reader, reader_with(f"outbox.{other}_message")):
            assert as_(user).get(f"{ALL}{kind}/").status_code == 403
            assert as_(user).post(f"{ALL}{kind}/", WHY).status_code == 403
        assert not BulkOperation.objects.exists()

    @pytest.mark.parametrize("form", [{}, {"reason": " "}, {**WHY, "per_second": "-1"}])
    def test_needs_a_reason_and_a_usable_rate(self, as_, operator, form):
        """The page comes again with the error at its field."""
        dead(1)
        response = as_(operator).post(f"{ALL}redrive/", form)
        assert response.status_code == 200
        assert "error" in response.content.decode()
        assert not BulkOperation.objects.exists()

    def test_has_nothing_to_do_where_nothing_matches(self, as_, operator):
        """It says so, and a POST starts nothing."""
        page = as_(operator).post(f"{ALL}redrive/?type=nope", WHY).content.decode()
        assert "there is nothing to do" in page
        assert not BulkOperation.objects.exists()

    def test_an_unknown_state_never_means_everything(self, as_, operator):
        """A filter that is not understood leads back to the list."""
        dead(1)
        assert as_(operator).post(f"{ALL}redrive/?state=gone", WHY).status_code == 302
        assert not BulkOperation.objects.exists()

    def test_the_list_offers_it_to_who_may(self, as_, operator, reader):
        """With the filters of the list, and only where failed messages are shown."""
        dead(1)
        page = as_(operator).get("/admin/outbox/message/?state=dead&type=orders.order_paid").content.decode()
        assert "all/redrive/?state=dead&amp;type=orders.order_paid" in page
        assert (
            "all/redrive/" not in as_(operator).get("/admin/outbox/message/?state=pending").content.decode()
        )
        assert "all/redrive/" not in as_(reader).get("/admin/outbox/message/?state=dead").content.decode()


class TestWorking:
    """The task."""

    def test_redrives_what_matched_and_nothing_else(self, as_, operator):
        """By the filters of the list, with a history entry for each, and one for the whole."""
        wanted, other = dead(3), message("dead", type="legacy.thing")
        bulk = run(ask(as_(operator), query="state=dead&type=orders.order_paid"))
        assert set(Message.objects.filter(status="pending").exclude(type="outbox.bulk")) == set(wanted)
        assert Message.objects.get(pk=other.pk).status == "failed"
        assert (bulk.expected, bulk.done, bool(bulk.ended_at)) == (3, 3, True)
        noted = dict(entries(operator))
        assert {str(m.pk) for m in wanted} < set(noted)
        assert "The provider is back." in noted[str(wanted[0].pk)]
        assert "Redrive of 3" in noted[str(bulk.pk)]

    def test_discards_with_the_reason(self, as_, operator):
        """Each keeps it."""
        (made,) = dead(1)
        run(ask(as_(operator), "discard"))
        made.refresh_from_db()
        assert made.discarded_at
        assert made.last_error == "Discarded: The provider is back."

    def test_is_a_message_itself(self, as_, operator, monkeypatch):
        """It is committed together with what asked for it, so it outlives browser, worker and broker."""
        dead(2)
        ask(as_(operator))
        assert tasks() == 1

    def test_changes_each_at_most_once_also_when_it_fails_again(self, as_, operator, monkeypatch):
        """What fails again at once is not redriven for ever: the work only goes forward."""
        monkeypatch.setattr(work, "BATCH", 2)
        monkeypatch.setattr(work, "SHIFT", 0.0)
        made = dead(5)
        bulk = ask(as_(operator))
        for turn in range(10):
            monkeypatch.setattr(work, "SHIFT", 0.001)
            run(bulk, turn)
            Message.objects.filter(pk__in=[m.pk for m in made]).update(status="failed")
        assert (bulk.done, bool(bulk.ended_at)) == (5, True)

    def test_leaves_alone_what_failed_later(self, as_, operator):
        """A message written after the question was asked was not in its number."""
        dead(1)
        bulk = ask(as_(operator))
        (later,) = dead(1)
        assert run(bulk).done == 1
        later.refresh_from_db()
        assert later.status == "failed"

    def test_a_task_that_comes_twice_or_late_changes_nothing(self, as_, operator, monkeypatch):
        """Only the latest turn works; each turn has one successor."""
        monkeypatch.setattr(work, "SHIFT", -1.0)
        dead(3)
        bulk = run(ask(as_(operator)))
        assert (bulk.turn, bulk.done, tasks()) == (1, 0, 2)
        assert (run(bulk).turn, tasks()) == (1, 2)

    def test_keeps_to_the_rate(self, as_, operator):
        """A second's worth, then the next turn is due when the rate allows it."""
        dead(7)
        bulk = run(ask(as_(operator), per_second="3"))
        assert (bulk.done, bulk.turn, bulk.ended_at) == (3, 1, None)
        _first, second = Message.objects.filter(type="outbox.bulk").order_by("id")
        assert 0.9 < (second.next_attempt_at - second.occurred_at).total_seconds() < 1.1

    def test_stops_when_told(self, as_, operator, reader):
        """What was changed stays; the task that comes then does nothing. It takes the permission."""
        dead(7)
        bulk = run(ask(as_(operator), per_second="3"))
        url = f"/admin/outbox/bulkoperation/{bulk.pk}/operate/stop/"
        assert as_(reader).post(url).status_code == 403
        assert "1 bulk operation was stopped" in said(as_(operator).post(url, follow=True))[0]
        assert run(bulk, 1).done == 3
        assert bulk.stopped_by == "olga"
        assert "had ended already" in said(as_(operator).post(url, follow=True))[0]

    def test_batch_and_audit_are_one(self, as_, operator, monkeypatch):
        """Where the entry cannot be written, the batch is as it was, and is tried again."""
        dead(2)
        bulk = ask(as_(operator))

        def refuse(*_: Any) -> None:
            raise RuntimeError("no audit")

        monkeypatch.setattr(work, "note", refuse)
        with pytest.raises(RuntimeError):
            run(bulk)
        bulk.refresh_from_db()
        assert (bulk.done, Message.objects.filter(status="failed").count()) == (0, 2)


def test_progress_is_seen_by_readers_and_ends(as_, reader, operator, client):
    """The bar refreshes while there is work, and stands still afterwards; strangers do not see it."""
    dead(2)
    bulk = ask(as_(operator))
    url = f"/admin/outbox/bulkoperation/{bulk.pk}/progress/"
    assert "hx-get" in as_(reader).get(url).content.decode()
    run(bulk)
    page = as_(reader).get(url).content.decode()
    assert "hx-get" not in page
    assert "2 of 2 messages" in page
    assert client.get(url).status_code == 302
    reader.groups.clear()
    assert as_(type(reader).objects.get(pk=reader.pk)).get(url).status_code == 403
    assert LogEntry.objects.filter(user=operator).count() == 3
