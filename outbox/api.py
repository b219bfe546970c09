"""The public door of the platform: what applications import, and all that they may rely on."""

from __future__ import annotations

from outbox.backoff import RetryPolicy
from outbox.celery import DurableTask
from outbox.context import WorkContext, current_context, working_on
from outbox.events import event
from outbox.exceptions import (
    BrokerUnavailable,
    InvalidSetting,
    NoSubscriber,
    OutboxError,
    PermanentError,
    PublishOutsideTransaction,
    UnknownType,
)
from outbox.models import Attempt, Message, Status
from outbox.publish import publish, send_command
from outbox.redrive import discard, redrive, send_now
from outbox.subscriptions import subscribe

__all__ = [
    "Attempt",
    "BrokerUnavailable",
    "DurableTask",
    "InvalidSetting",
    "Message",
    "NoSubscriber",
    "OutboxError",
    "PermanentError",
    "PublishOutsideTransaction",
    "RetryPolicy",
    "Status",
    "UnknownType",
    "WorkContext",
    "current_context",
    "discard",
    "event",
    "publish",
    "redrive",
    "send_command",
    "send_now",
    "subscribe",
    "working_on",
]
