"""A message added by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import current_app
from django.contrib.admin.models import ADDITION, LogEntry

from outbox.claims import claim
from outbox.models import Message
from outbox.relay.wakeup import wake
from outbox.transports.envelope import render
from tests.integration.admin.making import PAID

ADD = "/admin/outbox/message/add/"


def form(**changes: Any) -> dict[str, Any]:
    """A form that is filled in well, with some fields changed."""
    given = {
        "type": "orders.order_paid",
        "payload": json.dumps(PAID),
        "correlation_id": "",
        "due_at_0": "",
        "due_at_1": "",
    }
    return {**given, **changes}


def errors(response: Any, field: str) -> str:
    """What the page says at a field."""
    assert response.status_code == 200
    return " ".join(response.context["adminform"].form.errors.get(field, []))


def test_the_form_suggests_what_is_known(as_, operator):
    """Events with subscribers and tasks are offered, the machinery's own tasks are not."""
    page = as_(operator).get(ADD).content.decode()
    assert 'list="type-suggestions"' in page
    for known in ("orders.order_paid", "orders.payment.charge", "orders.email_order_paid"):
        assert f'<option value="{known}">' in page
    for private in ("outbox.dispatch", "outbox.distribute", "celery.chord"):
        assert private not in page


def test_an_event_is_added_and_delivered_like_any_other(transactional_db, as_, operator):
    """It is Pending and due, and what the relay claims is to be given to every subscriber."""
    response = as_(operator).post(ADD, form(correlation_id="A-17"))
    made = Message.objects.get()
    assert response.headers["Location"] == f"/admin/outbox/message/{made.pk}/change/"
    assert (made.status, made.payload, made.consumer, made.correlation_id) == ("pending", PAID, "", "A-17")
    assert made.headers["version"] == 1
    (claimed,) = claim(10).messages
    assert claimed.id == made.id
    assert render(current_app, claimed).options["headers"]["task"] == "outbox.distribute"


def test_the_relay_is_woken_after_the_commit(as_, operator, django_capture_on_commit_callbacks):
    """It does not wait for the next poll."""
    with django_capture_on_commit_callbacks() as callbacks:
        as_(operator).post(ADD, form())
    assert wake in callbacks


def test_a_task_is_added_as_its_own_consumer(transactional_db, as_, operator):
    """A command goes to the one task that it names, with the payload as its arguments."""
    payload = {"saga": "01a1ff76-8e54-743e-aae9-8cf167713177", "key": "x"}
    as_(operator).post(ADD, form(type="orders.payment.charge", payload=json.dumps(payload)))
    (claimed,) = claim(10).messages
    envelope = render(current_app, claimed)
    assert envelope.options["headers"]["task"] == "orders.payment.charge"
    assert json.loads(envelope.body)[1] == payload


def test_a_due_time_is_kept(transactional_db, as_, operator):
    """With a time in the future it waits."""
    as_(operator).post(ADD, form(due_at_0="2099-01-02", due_at_1="03:04:05"))
    assert Message.objects.get().next_attempt_at == datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert not claim(10).messages


def test_is_in_the_history(as_, operator):
    """Who added it is known."""
    as_(operator).post(ADD, form())
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag, entry.object_id) == (
        operator,
        ADDITION,
        str(Message.objects.get().pk),
    )


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ('{"a": 1,}', "line 1, column"),
        ("{", "This is not JSON"),
        ("{'a': 1}", "This is not JSON"),
        ("[1, 2]", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
        ("null", "must be a JSON object"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999}', "cannot keep"),
        ('{"a": 1, "a": 2}', "occurs twice"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("", "required"),
    ],
)
def test_a_bad_payload_is_refused_with_clear_words(as_, operator, payload, says):
    """Whatever the database could not keep or the consumer not take is an error at its field; nothing is added."""
    assert says in errors(as_(operator).post(ADD, form(payload=payload)), "payload")
    assert not Message.objects.exists()


def test_what_was_typed_stays_in_the_form(as_, operator):
    """Nothing has to be typed twice."""
    page = as_(operator).post(ADD, form(payload='{"broken": ')).content.decode()
    assert "{&quot;broken&quot;: " in page


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("orders.order_payd", "Did you mean &#x27;orders.order_paid&#x27;?"),
        ("orders.payment.chrage", "Did you mean &#x27;orders.payment.charge&#x27;?"),
        ("outbox.dispatch", "Nothing handles"),
        ("celery.chord", "Nothing handles"),
        ("zzz", "Nothing handles"),
    ],
)
def test_an_unknown_type_is_refused_with_the_one_that_was_meant(as_, operator, name, says):
    """A typing error is found here, and not as a dead letter."""
    response = as_(operator).post(ADD, form(type=name))
    assert errors(response, "type")
    assert says in response.content.decode()
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("type_", "payload", "says"),
    [
        ("orders.order_paid", {}, "order_id"),
        ("orders.order_paid", {**PAID, "amount": "a lot"}, "amount"),
        ("orders.payment.charge", {"key": "x"}, "saga"),
        ("orders.payment.charge", {"saga": "1", "key": "x", "more": 1}, "more"),
    ],
)
def test_a_payload_that_does_not_fit_the_type_is_refused(as_, operator, type_, payload, says):
    """The event's schema and the task's parameters are known: what is wrong is named."""
    response = as_(operator).post(ADD, form(type=type_, payload=json.dumps(payload)))
    assert says in errors(response, "payload")
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "changes", [{"due_at_0": "tomorrow", "due_at_1": "noon"}, {"due_at_0": "2099-01-01"}]
)
def test_a_bad_due_time_is_refused(as_, operator, changes):
    """A date without a time is not guessed at."""
    assert errors(as_(operator).post(ADD, form(**changes)), "due_at")
    assert not Message.objects.exists()


def test_an_overlong_correlation_id_is_refused(as_, operator):
    """A bound of the table is said at the field."""
    assert errors(as_(operator).post(ADD, form(correlation_id="x" * 65)), "correlation_id")


def test_needs_its_permission(as_, reader, reader_with):
    """Reading does not include adding; adding alone does not include reading."""
    assert as_(reader).get(ADD).status_code == 403
    assert as_(reader).post(ADD, form()).status_code == 403
    assert not Message.objects.exists()
    reader.groups.clear()
    response = as_(reader_with("outbox.add_message")).post(ADD, form())
    assert response.status_code == 302
    assert Message.objects.exists()
