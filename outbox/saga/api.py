"""The public door of the sagas."""

from __future__ import annotations

from outbox.saga.calls import DID_NOT_HAPPEN, NOT_KNOWN, Happened, StepCall, Verdict
from outbox.saga.definition import SagaDefinition
from outbox.saga.dependencies.declaration import Breaker, Dependency, Limit
from outbox.saga.engine import start
from outbox.saga.exceptions import (
    AttemptLost,
    SagaError,
    SagaRefused,
    TimedOut,
    UnknownEvent,
    UnknownSaga,
    UnknownVersion,
    WrongResult,
)
from outbox.saga.operations import (
    cancel,
    compensate_now,
    mark_done,
    pause,
    resume,
    retry_now,
    skip,
    unpause,
)
from outbox.saga.pausing import pause_definition, unpause_definition
from outbox.saga.refusals import Refusals, refusals
from outbox.saga.signals import Received, signal
from outbox.saga.steps import LONGER, Step, local, parallel, remote, wait_for
from outbox.saga.tasks import register
from outbox.saga.versions import Migrating

__all__ = [
    "DID_NOT_HAPPEN",
    "LONGER",
    "NOT_KNOWN",
    "AttemptLost",
    "Breaker",
    "Dependency",
    "Happened",
    "Limit",
    "Migrating",
    "Received",
    "Refusals",
    "SagaDefinition",
    "SagaError",
    "SagaRefused",
    "Step",
    "StepCall",
    "TimedOut",
    "UnknownEvent",
    "UnknownSaga",
    "UnknownVersion",
    "Verdict",
    "WrongResult",
    "cancel",
    "compensate_now",
    "local",
    "mark_done",
    "parallel",
    "pause",
    "pause_definition",
    "refusals",
    "register",
    "remote",
    "resume",
    "retry_now",
    "signal",
    "skip",
    "start",
    "unpause",
    "unpause_definition",
    "wait_for",
]
