"""The saga tables."""

from outbox.saga.dependencies.models import BreakerState, DependencyWait, Pace, Slot
from outbox.saga.models.pause import SagaPause
from outbox.saga.models.saga import Saga
from outbox.saga.models.signal import SagaSignal
from outbox.saga.models.step import SagaStep
from outbox.saga.models.transition import SagaTransition

__all__ = [
    "BreakerState",
    "DependencyWait",
    "Pace",
    "Saga",
    "SagaPause",
    "SagaSignal",
    "SagaStep",
    "SagaTransition",
    "Slot",
]
