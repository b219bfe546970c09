"""``manage.py outbox`` and its subcommands, as whoever types them reads them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client

from outbox import claims, storage
from outbox.claims import Failure
from outbox.models import Message, Pause, RateLimit, Status
from tests.harness.processes import ROOT, Platform
from tests.integration.outbox.test_storage import other  # noqa: F401  (a fixture)


def outbox(*argv: str) -> str:
    """What ``manage.py outbox …`` prints where there is no terminal."""
    out = io.StringIO()
    call_command("outbox", *argv, stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def failed(messages):
    """Three failed messages."""
    ids = messages(3)
    claim = claims.claim(10)
    claims.settle_failed(claim, [Failure(id_, "Timeout: no answer", None) for id_ in ids], "r1")
    return ids


def test_alone_it_shows_how_the_outbox_stands(failed, messages) -> None:
    """Counts by state and type, lag, rates, what is oldest, who has what in hand, and the tables."""
    messages(2)
    claims.claim(1, "relay-7")
    shown = outbox()
    assert shown.startswith("Outbox at ")
    for text in (
        "lag",
        "in 0.1/s",
        "sample.add",
        "Timeout: no answer",
        str(failed[0]),
        "relay-7",
        "outbox_message",
    ):
        assert text in shown
    assert "\x1b" not in shown


def test_an_empty_outbox_says_so(db) -> None:
    """And shows no empty tables."""
    shown = outbox()
    assert "No messages." in shown
    assert "Oldest" not in shown


def test_json_has_all_figures(failed) -> None:
    """For programs."""
    found = json.loads(outbox("--json"))
    assert {"type": "sample.add", "state": "failed", "count": 3, "exact": True} in found["tallies"]
    assert set(found) >= {
        "at",
        "lag_seconds",
        "rates",
        "oldest",
        "holders",
        "pauses",
        "limits",
        "tables",
        "horizon",
    }


def test_watching_in_a_pipe_prints_block_after_block(platform: Platform) -> None:
    """Each at once, so that whoever reads sees it; Ctrl-C ends it without a word."""
    env = {**os.environ, **platform.env}
    argv = [sys.executable, "manage.py", "outbox", "--watch", "0.2"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=ROOT, text=True
    ) as process:
        assert process.stdout
        heads = 0
        while heads < 3:
            line = process.stdout.readline()
            assert line, "it ended"
            heads += line.startswith("Outbox at ")
        process.send_signal(2)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == ""


def test_pausing_and_resuming(messages) -> None:
    """With who, why, and a warning where nobody knows the name."""
    said = outbox("pause", "type", "sample.ad", "--reason", "Down [again]", "--by", "ada")
    assert "Did you mean 'sample.add'" in said
    assert "The type sample.ad is paused" in said
    assert Pause.objects.get().paused_by == "ada"
    assert "Down [again]" in outbox()
    assert "0 messages are due again" in outbox("resume", "type", "sample.ad")
    with pytest.raises(CommandError, match="not paused"):
        outbox("resume", "type", "sample.ad")


def test_limiting_and_unlimiting(db) -> None:
    """The burst is a second's worth where none is given."""
    assert "sample.add is limited to 2.5/s, 3 at once. Relays know" in outbox(
        "limit", "sample.add", "2.5", "--reason", "They asked"
    )
    assert RateLimit.objects.get().reason == "They asked"
    assert "no limit any more" in outbox("unlimit", "sample.add")
    with pytest.raises(CommandError, match="above 0"):
        outbox("limit", "sample.add", "0", "--reason", "x")


def test_a_user_named_with_by_gets_the_entry(failed) -> None:
    """In the admin's history of each message."""
    User.objects.create_user("olga")
    assert "3 messages redriven." in outbox(
        "redrive", "--type", "sample.add", "--by", "olga", "--reason", "Mended"
    )
    assert LogEntry.objects.filter(user__username="olga", change_message__contains="Mended").count() == 3


def test_redriving_by_filter(failed) -> None:
    """Count first, then do it; an empty filter is refused; nothing found is said."""
    counted = outbox("redrive", "--error", "timeout", "--dry-run")
    assert "3  sample.add" in counted
    assert "Nothing was changed" in counted
    with pytest.raises(CommandError, match="empty filter means all"):
        outbox("redrive")
    assert "Warning: Nothing here knows the type 'sample.ad'" in outbox(
        "redrive", "--type", "sample.ad", "--dry-run"
    )
    assert "Warning" not in counted
    assert "2 messages redriven" in outbox("redrive", "--since", "1h", "--limit", "2")
    assert "nothing that has failed is selected" in outbox("redrive", "--until", "2026-01-01")
    assert Message.objects.filter(status=Status.FAILED).count() == 1


def test_discarding_by_filter_needs_a_reason(failed) -> None:
    """Kept with each."""
    with pytest.raises(CommandError, match="Say why"):
        outbox("discard", "--id", str(failed[0]))
    assert "1 messages discarded" in outbox("discard", "--id", str(failed[0]), "--reason", "Not wanted")
    assert Message.objects.get(pk=failed[0]).last_error == "Discarded: Not wanted"


def test_pruning(messages) -> None:
    """Count first, then do it; too young is refused."""
    messages(2)
    Message.objects.update(status="sent", sent_at=Now(), consumed_at=Now() - timedelta(days=2))
    assert "2  consumed messages" in outbox("prune", "--older-than", "1d", "--dry-run")
    with pytest.raises(CommandError, match="too young"):
        outbox("prune", "--older-than", "59m")
    assert "Nothing is old enough" in outbox("prune")
    assert "2 rows deleted" in outbox("prune", "--older-than", "1d")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("prune", "--older-than", "soon"), "'soon' is no time"),
        (("redrive", "--since", "yesterday"), "'yesterday' is no time"),
        (("redrive", "--since", "2026-13-45T00:00"), "is no time"),
        (("--watch", "0"), "no interval"),
        (("bogus",), r"argument SUBCOMMAND: invalid choice: 'bogus' \(choose from .*redrive"),
    ],
)
def test_what_is_not_understood_is_explained(db, argv: tuple[str, ...], says: str) -> None:
    """With what it should look like."""
    with pytest.raises(CommandError, match=says):
        outbox(*argv)


def test_health_names_the_session_that_holds_back_vacuum(
    transactional_db: None,
    other: psycopg.Connection[Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the command line, where it fails then; and on the page, for those who may see messages."""
    assert "Nothing ails" in outbox("health")
    monkeypatch.setattr(storage, "HORIZON_SECONDS", 0.0)
    with pytest.raises(CommandError, match="1 to be seen to"):
        outbox("health")
    client = Client()
    assert client.get("/healthz/details").status_code == 403
    client.force_login(User.objects.create_superuser("root"))
    answer = client.get("/healthz/details")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    (finding,) = answer.json()["findings"]
    assert finding["name"] == "vacuum_held_back"
    assert "reporting" in finding["message"]
    assert str(other.info.backend_pid) in finding["remedy"]
