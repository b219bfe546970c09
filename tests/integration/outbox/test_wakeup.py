"""Wake-ups: hints after a commit, never more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Task
from django.db import transaction
from redis import Redis

from outbox import tasks
from outbox.database import fetch
from outbox.models import Message
from outbox.publish import send_command
from outbox.relay import wakeup
from outbox.relay.listener import Listener
from outbox.relay.wakeup import CHANNEL
from outbox.saga.tasks import sweep_sagas
from outbox.tasks import MANY_WAITING, dispatch
from tests.chaos.stack import CLOCK
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox import sample

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_waker_left() -> Iterator[None]:
    """A thread that a test has started ends with it, and its connection too."""
    yield
    wakeup._waker.get().stop()


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts wake-ups instead of sending them."""
    calls: list[str] = []
    monkeypatch.setattr(wakeup, "wake", lambda: calls.append("woken"))
    return calls


def test_two_publishes_in_a_commit_are_one_wake_up(woken: list[str]) -> None:
    """And it comes after the commit."""
    with transaction.atomic():
        send_command("sample.add", {"a": 1})
        send_command("sample.add", {"a": 2})
        assert woken == []
    assert woken == ["woken"]


def test_a_rollback_wakes_nobody(woken: list[str]) -> None:
    """There is nothing to be sent."""
    with pytest.raises(RuntimeError), transaction.atomic():
        send_command("sample.add", {"a": 1})
        raise RuntimeError
    assert woken == []


def test_what_is_due_later_wakes_nobody_now(woken: list[str]) -> None:
    """A relay finds it when its time has come; together with something that is due it is one wake-up."""
    later = sample.add.s(1)
    with transaction.atomic():
        later.apply_async(countdown=3600)
    assert woken == []
    with transaction.atomic():
        later.apply_async(countdown=3600)
        later.apply_async()
    assert woken == ["woken"]


def test_a_publish_in_a_savepoint_that_survives_wakes(woken: list[str]) -> None:
    """A savepoint that is rolled back does not take the wake-up of another along."""
    with transaction.atomic():
        send_command("sample.add", {"a": 1})
        with pytest.raises(RuntimeError), transaction.atomic():
            send_command("sample.add", {"a": 2})
            raise RuntimeError
    assert woken == ["woken"]


def test_the_dispatch_task_is_sent_from_the_background(broker: Redis, settings) -> None:
    """A commit puts a dispatch task into its own queue, and no clock decides whether it is taken."""
    settings.OUTBOX = {"WAKE_UP": ("task",), "DISPATCH_INTERVAL": 5}
    with transaction.atomic():
        send_command("sample.add", {"a": 1})
    wait_until(lambda: broker.llen("outbox"), "the wake-up to arrive")
    assert b'"task": "outbox.dispatch"' in broker.lindex("outbox", 0)
    assert b'"expires": null' in broker.lindex("outbox", 0)


def test_wake_ups_do_not_pile_up_while_no_worker_takes_them(broker: Redis) -> None:
    """A few wait, from however many processes; when they have been taken, the next one is sent."""
    for _ in range(3 * wakeup.ENOUGH_WAITING):
        wakeup.send_dispatch_task()
    assert broker.llen("outbox") == wakeup.ENOUGH_WAITING
    broker.delete("outbox")
    wakeup.send_dispatch_task()
    assert broker.llen("outbox") == 1


def test_what_beat_sends_does_not_pile_up_either(broker: Redis) -> None:
    """And is not kept out by wake-ups, of which fewer may wait."""
    for _ in range(2 * wakeup.ENOUGH_WAITING):
        wakeup.send_dispatch_task()
    for _ in range(MANY_WAITING):
        dispatch.apply_async()
        sweep_sagas.apply_async()
    assert broker.llen("outbox") == MANY_WAITING
    waiting = b"".join(broker.lrange("outbox", 0, -1))
    assert waiting.count(b'"task": "outbox.saga.sweep"') == (MANY_WAITING - wakeup.ENOUGH_WAITING) / 2
    assert b'"expires": "' not in waiting


def test_where_a_broker_cannot_tell_what_waits_a_task_lives_for_a_day(monkeypatch) -> None:
    """Better a bound by two clocks than none."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks, "_waiting", lambda *_: None)
    monkeypatch.setattr(Task, "apply_async", lambda *_, **options: sent.append(options))
    dispatch.apply_async()
    assert [options["expires"] for options in sent] == [24 * 3600]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_dispatch_worker_whose_clock_is_wrong_takes_what_it_is_sent(platform: Platform, hours: int) -> None:
    """By beat and by wake-ups alike: it throws nothing away as expired."""
    clock = {"PYTHONPATH": str(CLOCK), "CHAOS_CLOCK": str(hours * 3600)}
    platform.worker("outbox", concurrency=1, **clock)
    for wake in (wakeup.send_dispatch_task, dispatch.apply_async):
        with transaction.atomic():
            send_command("orders.count_daily_sales", {"a": 1})
        wake()
        wait_until(lambda: not Message.objects.filter(status="pending").exists(), "the worker to send it")


def test_a_listener_hears_what_another_process_publishes(settings) -> None:
    """NOTIFY ends the wait of a listening relay, from outside the business transaction."""
    settings.OUTBOX = {"WAKE_UP": ("notify",)}
    listener = Listener()
    listener.wait(0.01)  # the first wait begins to listen
    with transaction.atomic():
        send_command("sample.add", {"a": 1})
    raw = listener._raw
    heard = list(raw.notifies(timeout=10, stop_after=1))
    listener.close()
    assert [n.channel for n in heard] == [wakeup.CHANNEL]


def test_a_dead_listener_falls_back_to_polling_and_listens_again(caplog: pytest.LogCaptureFixture) -> None:
    """A broken connection costs promptness only."""
    listener = Listener()
    listener.wait(0.01)
    listener._raw.close()
    listener.wait(0.01)
    assert "polling" in caplog.text
    listener.wait(0.01)
    assert not listener._raw.closed
    listener.close()


@pytest.mark.postgresql
def test_listeners_that_are_killed_again_and_again_leave_nothing_behind() -> None:
    """The server ends the listening session: each time one new session listens, and there is never a second one."""
    listener = Listener()
    listener.wait(0.01)
    for _ in range(20):
        (killed,) = _listening()
        _terminate(killed)
        wait_until(lambda killed=killed: killed not in _listening(), "the session to be gone")
        listener.wait(0.01)  # finds it dead, and falls back to polling
        listener.wait(0.01)  # listens again
        assert len(_listening()) == 1
    listener.close()
    wait_until(lambda: _listening() == [], "the last session to be gone")


@pytest.mark.postgresql
def test_a_relay_whose_listener_was_killed_is_still_woken(platform: Platform, settings) -> None:
    """It reports that it polls, listens again, and has not missed what was published meanwhile."""
    settings.OUTBOX = {"WAKE_UP": ("notify",)}
    relay = platform.manage("relay", OUTBOX_WAKE_UP="notify").wait_for("The relay is running")
    wait_until(lambda: len(_listening()) == 1, "the relay to listen")
    _terminate(*_listening())
    with transaction.atomic():
        send_command("orders.count_daily_sales", {"a": 1})
    wait_until(lambda: not Message.objects.filter(status="pending").exists(), "the relay to send")
    wait_until(lambda: len(_listening()) == 1, "the relay to listen again")
    assert "Not listening" in relay.output


def _listening() -> list[int]:
    """The sessions that listen, by their process ids."""
    return [
        pid for (pid,) in fetch("SELECT pid FROM pg_stat_activity WHERE query = %s", [f"LISTEN {CHANNEL}"])
    ]


def _terminate(*pids: int) -> None:
    for pid in pids:
        fetch("SELECT pg_terminate_backend(%s)", [pid])


def test_a_forked_child_has_a_waker_of_its_own(settings) -> None:
    """Threads do not survive a fork: the child makes its own at the first wake-up."""
    settings.OUTBOX = {"WAKE_UP": ("task",)}
    parent = wakeup._waker.get()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        child = wakeup._waker.get()
        os.write(write, b"ok" if child is not parent and child.thread.is_alive() else b"no")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 2) == b"ok"
    os.close(read)
    os.close(write)
