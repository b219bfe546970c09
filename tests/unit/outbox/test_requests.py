"""What a worker makes of an acknowledgement that failed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from kombu.message import Message

from outbox.requests import DurableRequest, StrictRequest
from outbox.tasks import DispatchTask


def failing(*_: object, **__: object) -> None:
    """The broker does not answer."""
    raise ConnectionError("gone")


@pytest.mark.parametrize("ending", [StrictRequest.acknowledge, StrictRequest.reject])
def test_an_acknowledgement_that_fails_is_an_error_of_the_connection(ending: Callable) -> None:
    """Celery logs it, and the message takes its place among the prefetched ones for ever."""
    channel = SimpleNamespace(basic_ack=failing, basic_reject=failing, no_ack_consumers=None)
    message = Message(channel=channel, delivery_tag="1")
    request = StrictRequest.__new__(StrictRequest)
    request.acknowledged = False
    request._on_ack, request._on_reject = message.ack_log_error, message.reject_log_error
    request._connection_errors = (ConnectionError,)
    with pytest.raises(ConnectionError):
        ending(request)


def test_every_task_of_ours_has_such_requests() -> None:
    """Durable ones, and those that carry them."""
    assert issubclass(DurableRequest, StrictRequest)
    assert DispatchTask.Request.endswith("StrictRequest")
