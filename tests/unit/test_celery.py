"""What the Celery application does to its workers."""

from __future__ import annotations

import pytest
from billiard import get_context, pool

from project.celery import RESULTS_READ_WITHIN, let_children_end


def test_a_child_waits_for_seconds_until_what_it_sent_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for half a minute, as it does where its worker has forgotten the task that it has done."""
    pauses: list[float] = []
    monkeypatch.setattr(pool, "GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT", 300)
    monkeypatch.setattr(pool.time, "sleep", pauses.append)
    let_children_end()
    context = get_context("fork")
    read = context.Value("i")
    child = pool.Worker(context.SimpleQueue(), context.SimpleQueue(), on_ready_counter=read)
    assert not child._ensure_messages_consumed(completed=1)
    assert sum(pauses) == pytest.approx(RESULTS_READ_WITHIN)
    read.value = 1
    assert child._ensure_messages_consumed(completed=1)
