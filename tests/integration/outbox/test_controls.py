"""What operators say at run time: what is kept of it, and what is refused."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from outbox import claims, controls
from outbox.exceptions import OperationRefused
from outbox.models import Pause, RateLimit
from outbox.relay.gate import Gate
from tests.integration.outbox.gating import TYPE


def test_nothing_configured_costs_two_queries_a_second(messages, django_assert_num_queries) -> None:
    """And none per message, nor per batch."""
    claim = claims.claim(10)
    gate = Gate()
    with django_assert_num_queries(2):
        for _ in range(100):
            gate.admit(claim.messages)


def test_who_and_why_are_kept(messages) -> None:
    """With the row while it holds, and in the admin's history for good."""
    user = User.objects.create_user("olga")
    controls.pause("type", TYPE, "The provider is down", by=user)
    controls.set_limit(TYPE, 5, "They asked", by=user)
    assert Pause.objects.get().paused_by == RateLimit.objects.get().set_by == "olga"
    controls.resume("type", TYPE, by=user)
    controls.lift_limit(TYPE, by=user)
    said = list(LogEntry.objects.order_by("id").values_list("user__username", "change_message"))
    assert [name for name, _ in said] == ["olga"] * 4
    assert said[0][1] == "Paused: The provider is down"
    assert said[2][1] == "Resumed; it was paused because: The provider is down"


@pytest.mark.parametrize(
    ("scope", "value", "reason", "says"),
    [
        ("shop", "x", "why", "no scope 'shop'"),
        ("type", "", "why", "Name the type"),
        ("type", "x" * 201, "why", "at most 200"),
        ("type", "x", " ", "Say why"),
    ],
)
def test_a_pause_that_cannot_be_is_refused(db, scope: str, value: str, reason: str, says: str) -> None:
    """With a sentence that says what to do."""
    with pytest.raises(OperationRefused, match=says):
        controls.pause(scope, value, reason)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(db, rate: float) -> None:
    """Zero is a pause."""
    with pytest.raises(OperationRefused, match="above 0"):
        controls.set_limit(TYPE, rate, "why")


def test_pausing_twice_and_resuming_what_runs_are_refused(db) -> None:
    """The first reason stays; and the message names what is paused."""
    controls.pause("type", TYPE, "first", by="ada")
    with pytest.raises(OperationRefused, match="paused already, by ada: first"):
        controls.pause("type", TYPE, "second")
    with pytest.raises(OperationRefused, match=f"Paused now: type {TYPE}"):
        controls.resume("type", "other")
    with pytest.raises(OperationRefused, match="has no limit"):
        controls.lift_limit("other")


def test_a_name_that_nobody_knows_raises_doubts(db) -> None:
    """With the one that was probably meant. Keys are anything."""
    assert controls.doubts("type", TYPE) == ""
    assert "Did you mean 'sample.add'" in controls.doubts("type", "sample.ad")
    assert "Did you mean 'default'" in controls.doubts("queue", "defualt")
    assert controls.doubts("key", "whatever") == ""
