"""What a piece of work belongs to travels with it."""

from __future__ import annotations

import json
import logging
import logging.config
import sys

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from outbox.api import Message, current_context, is_traceparent, publish, send_command, working_on
from outbox.models import Status
from outbox.relay.engine import Relay
from outbox.testing import drain
from project.logs import logging_config
from project.requests import RequestContextMiddleware
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox.tracing import Begun

TRACE, SPAN = "a" * 32, "b" * 16
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


def respond(request: HttpRequest) -> HttpResponse:
    """A view that publishes."""
    with transaction.atomic():
        publish(Begun("request"))
    return HttpResponse(json.dumps([current_context().correlation_id, current_context().traceparent]))


def ask(**headers: str) -> tuple[HttpResponse, str, str]:
    """A request's answer, correlation id and traceparent."""
    request = RequestFactory().get("/", headers=headers)
    response = RequestContextMiddleware(respond)(request)
    return response, *json.loads(response.content)


@pytest.mark.django_db
def test_a_request_joins_its_callers_trace() -> None:
    """Same trace and flags, a place of its own in it."""
    _, _, traceparent = ask(traceparent=TRACEPARENT)
    version, trace, span, flags = traceparent.split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != SPAN
    assert Message.objects.get().headers["traceparent"] == traceparent


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given",
    [
        "",
        "junk",
        TRACEPARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{TRACEPARENT}-more",
        f"{TRACEPARENT}\x00",
    ],
)
def test_a_malformed_traceparent_is_ignored(given: str) -> None:
    """The request begins a trace of its own."""
    assert not is_traceparent(given)
    _, _, traceparent = ask(traceparent=given)
    assert is_traceparent(traceparent)
    assert TRACE not in traceparent
    with working_on(traceparent=TRACEPARENT), working_on(traceparent=given or None):
        assert current_context().traceparent == TRACEPARENT


@pytest.mark.django_db
def test_a_request_is_correlated_by_its_caller_or_by_its_trace() -> None:
    """The answer says by what; an id that could be anything else than an id is not taken."""
    response, correlation_id, _ = ask(**{"X-Correlation-ID": "order:7"})
    assert response.headers["X-Correlation-ID"] == correlation_id == "order:7"
    for bad in ("x" * 65, "two words", "line\nbreak", "<b>"):
        response, correlation_id, traceparent = ask(**{"X-Correlation-ID": bad})
        assert correlation_id == traceparent.split("-")[1] == response.headers["X-Correlation-ID"]


@pytest.mark.django_db
def test_a_request_leaves_nothing_behind_for_the_next_one() -> None:
    """Requests share threads, not contexts."""
    with working_on(causation_id="another"):
        ask()
        assert (current_context().correlation_id, current_context().causation_id) == ("", "another")


@pytest.mark.django_db
def test_a_hand_made_traceparent_in_a_row_does_no_harm() -> None:
    """It is ignored where the consumer begins."""
    with transaction.atomic():
        (id_,) = publish(Begun("by hand"))
    Message.objects.filter(pk=id_).update(headers={"traceparent": "junk"})
    drain()
    assert {row.headers.get("traceparent") for row in Message.objects.exclude(pk=id_)} == {None}


def causes() -> list[Message]:
    """All messages, each after its cause."""
    return list(Message.objects.order_by("occurred_at", "id"))


@pytest.mark.django_db
def test_each_message_names_its_cause_and_all_name_the_same_beginning() -> None:
    """Event → durable task → event."""
    with working_on(correlation_id="order-1", traceparent=TRACEPARENT), transaction.atomic():
        publish(Begun("chain"))
    drain()
    check_chain()


@pytest.mark.django_db(transaction=True)
def test_the_context_survives_broker_and_worker(platform: Platform) -> None:
    """The same, through a real worker; its log lines carry all three ids."""
    module = "tests.integration.outbox.tracing"
    worker = platform.worker("default", concurrency=1, include=module, LOG_JSON="1")
    relay = Relay()  # here, because another process's would not know these tasks
    with working_on(correlation_id="order-1", traceparent=TRACEPARENT), transaction.atomic():
        publish(Begun("chain"))

    def all_consumed() -> bool:
        relay.drain()
        return Message.objects.filter(consumed_at__isnull=False).count() == 3

    wait_until(all_consumed, "all three hops")
    relay.close()
    check_chain()
    line = json.loads(next(line for line in worker.output.splitlines() if "the last hop" in line))
    assert (line["correlation_id"], line["traceparent"]) == ("order-1", TRACEPARENT)
    assert line["causation_id"] == str(causes()[2].id)


def check_chain() -> None:
    """Three messages, consumed, each caused by the one before."""
    begun, second, ended = causes()
    assert [row.type for row in (begun, second, ended)] == [
        "tracing.begun",
        "tracing.second_hop",
        "tracing.ended",
    ]
    assert {row.status for row in (begun, second, ended)} == {Status.SENT}
    assert {row.correlation_id for row in (begun, second, ended)} == {"order-1"}
    assert {row.headers["traceparent"] for row in (begun, second, ended)} == {TRACEPARENT}
    assert "causation_id" not in begun.headers
    assert second.headers["causation_id"] == str(begun.id)
    assert ended.headers["causation_id"] == str(second.id)


@pytest.mark.django_db
def test_a_context_does_not_leak_into_a_consumer() -> None:
    """What a consumer publishes belongs to its message, not to whoever runs it."""
    with transaction.atomic():
        send_command("tracing.second_hop", {"name": "x"})
    with working_on(correlation_id="the test", causation_id="the test", traceparent=TRACEPARENT):
        drain()
    ended = Message.objects.get(type="tracing.ended")
    assert (ended.correlation_id, ended.headers.get("traceparent")) == ("", None)


def test_log_lines_carry_the_context(capsys, monkeypatch) -> None:
    """Whoever logs, and only what is known."""
    config = logging_config(level="INFO", json=True)
    logging.config.dictConfig(
        {**config, "root": {}, "loggers": {"sample.context": {"handlers": ["console"]}}}
    )
    monkeypatch.setattr(logging.getLogger("sample.context").handlers[0], "stream", sys.stderr)
    with working_on(correlation_id="order-1", causation_id="m-1", traceparent=TRACEPARENT):
        logging.getLogger("sample.context").warning("inside")
    logging.getLogger("sample.context").warning("outside")
    inside, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (inside["correlation_id"], inside["causation_id"], inside["traceparent"]) == (
        "order-1",
        "m-1",
        TRACEPARENT,
    )
    assert not {"correlation_id", "causation_id", "traceparent"} & set(outside)
