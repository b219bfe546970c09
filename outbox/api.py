"""The public door of the platform: what applications import, and all that they may rely on."""

from __future__ import annotations

from outbox.backoff import RetryPolicy
from outbox.celery import DurableTask
from outbox.context import WorkContext, current_context, is_traceparent, working_on
from outbox.database import DATABASE_AWAY, execute, fetch
from outbox.enforcement import BypassWarning
from outbox.events import event
from outbox.exceptions import (
    BrokerUnavailable,
    BypassesOutbox,
    InvalidEvent,
    InvalidSetting,
    NoSubscriber,
    OutboxError,
    PermanentError,
    PublishOutsideTransaction,
    UnknownType,
    UnknownVersion,
    WrongDatabase,
)
from outbox.inbox import once, receive
from outbox.models import Attempt, Message, Status
from outbox.prune import Prunable, prune_also
from outbox.publish import publish, publish_all, send_command
from outbox.redaction import Personal
from outbox.redrive import discard, redrive, send_now
from outbox.scheduling import cancel_scheduled
from outbox.subscriptions import subscribe
from outbox.versions import upcast

__all__ = [
    "DATABASE_AWAY",
    "Attempt",
    "BrokerUnavailable",
    "BypassWarning",
    "BypassesOutbox",
    "DurableTask",
    "InvalidEvent",
    "InvalidSetting",
    "Message",
    "NoSubscriber",
    "OutboxError",
    "PermanentError",
    "Personal",
    "Prunable",
    "PublishOutsideTransaction",
    "RetryPolicy",
    "Status",
    "UnknownType",
    "UnknownVersion",
    "WorkContext",
    "WrongDatabase",
    "cancel_scheduled",
    "current_context",
    "discard",
    "event",
    "execute",
    "fetch",
    "is_traceparent",
    "once",
    "prune_also",
    "publish",
    "publish_all",
    "receive",
    "redrive",
    "send_command",
    "send_now",
    "subscribe",
    "upcast",
    "working_on",
]
