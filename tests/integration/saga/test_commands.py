"""What a step's task makes of commands that make no sense, and of attempts that hang."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from celery import current_app
from django.db import transaction

from outbox.api import Message, PermanentError, send_command
from outbox.relay.engine import shared_relay
from outbox.saga.api import cancel, start
from outbox.saga.models import Saga, SagaTransition
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.saga.conftest import Refusal, World, raising, run_to_the_end, status, step


@pytest.mark.parametrize("saga_id", ["not-a-uuid", 7, None, str(UUID(int=7))])
def test_a_command_for_no_saga_fails_at_once(saga: Saga, world: World, saga_id: Any) -> None:
    """It waits for a person as a Failed message, with the reason; it is not sent for ever."""
    step()
    Message.objects.all().delete()
    with transaction.atomic():
        send_command("sample.second.book", {"saga": saga_id, "key": "x"})
    (told,) = step()
    assert isinstance(told, PermanentError)
    message = Message.objects.get()
    assert (message.status, message.attempts) == ("failed", 1)
    assert "There is no saga" in message.last_error
    assert world.names == ["pack"]


def test_a_command_without_a_saga_fails_at_once(saga: Saga) -> None:
    """It does not even have what every command has."""
    step()
    Message.objects.all().delete()
    with transaction.atomic():
        send_command("sample.second.book", {"oops": 1})
    (told,) = step()
    assert isinstance(told, TypeError)
    assert Message.objects.get().status == "failed"


def test_a_command_for_a_saga_of_an_unknown_definition_fails_at_once(saga: Saga, world: World) -> None:
    """The watchdog parks the saga then: nothing is silent."""
    Saga.objects.update(definition="sample.renamed")
    (told,) = step()
    assert isinstance(told, PermanentError)
    assert Message.objects.get().status == "failed"
    assert world.names == []


@pytest.mark.parametrize("step_name", ["pack", "book"])
def test_an_error_with_characters_that_no_column_takes_is_kept(
    saga: Saga, world: World, step_name: str
) -> None:
    """NUL and lone surrogates are written out: the step is tried again and ends, as with any other error."""
    world.faults[step_name] = raising(ValueError("a\x00b\ud800"))
    run_to_the_end()
    assert status(saga) == "compensated"
    errors = SagaTransition.objects.filter(what="will retry").values_list("detail", flat=True)
    assert errors[0].endswith("ValueError: a\\x00b\\ud800")


def test_a_public_reason_with_such_characters_is_kept(saga: Saga, world: World) -> None:
    """The words for people go through the same cleaning."""
    refusal = Refusal("no")
    refusal.public_reason = "Not\x00today"
    world.faults["book"] = raising(refusal)
    run_to_the_end()
    assert world.ended == [("compensated", "Not\\x00today")]


def test_a_cancellation_with_such_characters_is_kept(saga: Saga, world: World) -> None:
    """Also those of the person who calls it off."""
    cancel(saga.id, actor="ada", reason="No\x00pe")
    assert world.ended == [("compensated", "No\\x00pe")]


def test_a_worker_interrupts_an_attempt_that_hangs(platform: Platform) -> None:
    """On a real worker: its process is free again at the end of the lease, and the step is undone."""
    module = "tests.integration.saga.hanging"
    import_module(module)
    worker = platform.worker("default", concurrency=1, include=module)
    with transaction.atomic():
        saga = Saga.objects.get(pk=start("hanging.test", "h-1"))

    def ended() -> bool:
        with shared_relay() as relay:
            relay.turn()
        return status(saga) == "compensated"

    wait_until(ended, "the saga to be compensated", timeout=20)
    row = saga.steps.get(direction="action")
    assert (row.status, row.attempt) == ("unknown", 1)
    assert row.last_error == "AttemptLost: Attempt 1 was interrupted: it may take 1.0 s."
    assert "Soft time limit (1.0s) exceeded" in worker.output


def test_only_remote_attempts_are_interrupted() -> None:
    """At the end of their lease, and killed some seconds later."""
    book, pack = (current_app.tasks[name] for name in ("sample.second.book", "sample.first.pack"))
    assert (book.soft_time_limit, book.time_limit) == (30.0, 40.0)
    assert (pack.soft_time_limit, pack.time_limit) == (None, None)
