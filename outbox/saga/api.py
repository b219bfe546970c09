"""The public door of the sagas."""

from __future__ import annotations

from outbox.saga.definition import LONGER, SagaDefinition, Step, StepCall, local, remote
from outbox.saga.engine import start
from outbox.saga.exceptions import SagaError, SagaRefused, UnknownSaga
from outbox.saga.operations import cancel, resume
from outbox.saga.tasks import register

__all__ = [
    "LONGER",
    "SagaDefinition",
    "SagaError",
    "SagaRefused",
    "Step",
    "StepCall",
    "UnknownSaga",
    "cancel",
    "local",
    "register",
    "remote",
    "resume",
    "start",
]
