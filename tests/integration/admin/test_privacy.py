"""Personal data is hidden by the server from those who may not see it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from celery import shared_task
from django_celery_results.models import TaskResult

from outbox.admin.privacy import for_reader
from outbox.api import event
from outbox.models import Attempt, Message
from outbox.redaction import HIDDEN, Personal, declared, mask_of
from tests.integration.admin.making import message


@event("privacy.customer_moved", optional=True)
@dataclass(frozen=True)
class CustomerMoved:
    """An event with a personal field."""

    customer_id: str
    new_home: Personal[str]


@shared_task(name="privacy.send_letter")
def send_letter(letter_id: str, reader_name: Personal[str] = "") -> None:
    """A task with a personal parameter."""


SECRET = "Ada Lovelace"


def test_what_is_declared_is_known():
    """On an event's field and on a task's parameter; nothing for what nobody knows."""
    assert declared("privacy.customer_moved") == {"new_home"}
    assert declared("privacy.send_letter") == {"reader_name"}
    assert declared("nobody.knows") == frozenset()


def test_a_declared_event_works_as_any_other():
    """The mark changes nothing for schema and consumers."""
    from outbox.events import type_of

    moved = CustomerMoved("c1", SECRET)
    assert type_of(moved).schema.dump_python(moved, mode="json") == {"customer_id": "c1", "new_home": SECRET}


@pytest.mark.parametrize(
    "payload",
    [
        {"new_home": SECRET, "customer_id": "c1"},
        {"nested": [{"New_Home": {"street": SECRET}}]},
        {"note": f"moved to {SECRET}", "new_home": SECRET},
        {"note": "write to ada@example.org", "new_home": None},
    ],
)
def test_hides_at_whatever_depth_and_in_texts(payload):
    """Members by name, texts that quote them, and anybody's e-mail address. The given value stays as it is."""
    before = json.dumps(payload)
    hidden = json.dumps(mask_of("privacy.customer_moved", payload).payload(payload), ensure_ascii=False)
    assert SECRET not in hidden
    assert "ada@example.org" not in hidden
    assert HIDDEN in hidden
    assert json.dumps(payload) == before


def test_hides_positional_arguments_of_a_durable_task():
    """By the names of its parameters, however short they are."""
    payload = {"args": ["L-1", "Al"], "kwargs": {}, "embed": {}}
    hidden = mask_of("privacy.send_letter", payload).payload(payload)
    assert hidden["args"] == ["L-1", HIDDEN]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (json.dumps({"reader_name": SECRET}), True),
        (json.dumps(json.dumps({"reader_name": SECRET})), True),
        (json.dumps(str({"reader_name": SECRET})), True),
        (f"<Letter to {SECRET}>", True),
        (json.dumps({"letter_id": SECRET}), False),
    ],
)
def test_hides_in_representations(text, hidden):
    """JSON in JSON, Python in JSON; what is neither is hidden as a whole."""
    assert (SECRET not in mask_of("privacy.send_letter").representation(text)) is hidden


@pytest.fixture
def moved(db: None) -> Message:
    """A message with personal data in its payload, its errors and its headers."""
    made = message(
        "dead",
        type="privacy.customer_moved",
        consumer="",
        payload={"customer_id": "c1", "new_home": SECRET},
        headers={"celery": {"headers": {"kwargsrepr": SECRET}}},
        last_error=f"ValueError: {SECRET} is no address",
    )
    Attempt.objects.create(message=made, number=1, stage="consume", error=f"ValueError: {SECRET}", worker="w")
    return made


def test_a_reader_does_not_get_it_in_the_page(as_, reader, operator, moved):
    """Not in payload, headers, errors or attempts: it is not in the answer at all. An operator is no exception."""
    for user in (reader, operator):
        page = as_(user).get(f"/admin/outbox/message/{moved.pk}/change/").content.decode()
        assert SECRET not in page
        assert HIDDEN in page
        assert "c1" in page
    moved.refresh_from_db()
    assert moved.payload["new_home"] == SECRET


def test_who_has_the_permission_sees_it(as_, reader_with, moved):
    """The permission is all it takes."""
    user = reader_with("outbox.view_personal")
    assert SECRET in as_(user).get(f"/admin/outbox/message/{moved.pk}/change/").content.decode()


def test_operating_on_a_message_does_not_store_what_was_shown(as_, operator, moved):
    """A redrive sends the payload as it was written."""
    as_(operator).post(f"/admin/outbox/message/{moved.pk}/operate/redrive/")
    moved.refresh_from_db()
    assert (moved.status, moved.payload["new_home"]) == ("pending", SECRET)


def test_results_of_tasks_are_hidden_too(as_, reader, reader_with):
    """Arguments and answers, as Celery writes them."""
    made = TaskResult.objects.create(
        task_id="t1",
        task_name="privacy.send_letter",
        task_args=json.dumps("()"),
        task_kwargs=json.dumps(str({"letter_id": "L-1", "reader_name": SECRET})),
        result=json.dumps({"reader_name": SECRET, "sent": True}),
        status="SUCCESS",
    )
    url = f"/admin/django_celery_results/taskresult/{made.pk}/change/"
    page = as_(reader).get(url).content.decode()
    assert SECRET not in page
    assert "L-1" in page
    assert SECRET in as_(reader_with("outbox.view_personal")).get(url).content.decode()


def test_names_in_the_settings_hold_everywhere(reader, settings, rf):
    """For contexts and results, which declare nothing."""
    settings.OUTBOX = {**settings.OUTBOX, "PERSONAL_FIELDS": ("nickname",)}
    request: Any = rf.get("/")
    request.user = reader
    assert for_reader(request, {"inventory": {"nickname": SECRET, "lines": 1}}) == {
        "inventory": {"nickname": HIDDEN, "lines": 1}
    }
