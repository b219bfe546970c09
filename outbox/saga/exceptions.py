"""The saga engine's errors."""

from __future__ import annotations

from outbox.exceptions import OutboxError, PermanentError


class SagaError(OutboxError):
    """Anything the saga engine refuses."""


class UnknownSaga(SagaError, PermanentError):
    """No definition of that name (or no step of that name in it) is registered in this process."""


class NoSuchSaga(SagaError, PermanentError):
    """A command is for a saga that does not exist: deleted, or never there. Kept as a Failed message."""


class SagaRefused(SagaError):
    """An operation that the saga's state does not allow; the message says why, for a person."""


class AttemptLost(SagaError):
    """An attempt's lease ran out: its worker died or hangs. Whether it acted is unknown."""

    public_reason = "It could not be completed in time."
