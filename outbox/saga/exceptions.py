"""The saga engine's errors."""

from __future__ import annotations

from outbox.exceptions import OutboxError


class SagaError(OutboxError):
    """Anything the saga engine refuses."""


class UnknownSaga(SagaError):
    """No definition of that name (or no step of that name in it) is registered in this process."""


class SagaRefused(SagaError):
    """An operation that the saga's state does not allow; the message says why, for a person."""


class AttemptLost(SagaError):
    """An attempt's lease ran out: its worker died or hangs. Whether it acted is unknown."""

    public_reason = "It could not be completed in time."
