"""The saga engine's errors."""

from __future__ import annotations

from outbox.exceptions import OutboxError, PermanentError


class SagaError(OutboxError):
    """Anything the saga engine refuses."""


class UnknownSaga(SagaError, PermanentError):
    """No definition of that name (or no step of that name in it) is registered in this process."""


class UnknownVersion(SagaError):
    """The saga's definition is here, but neither in its version nor with a migration from it.

    While versions are being deployed another process may know it: its commands are tried again for some minutes.
    """


class NoSuchSaga(SagaError, PermanentError):
    """A command is for a saga that does not exist: deleted, or never there. Kept as a Failed message."""


class SagaRefused(SagaError):
    """An operation that the saga's state does not allow; the message says why, for a person."""


class UnknownEvent(SagaError):
    """A signal that no step of the definition waits for."""


class WrongResult(SagaError):
    """A result is not what its step declares, or cannot be kept as JSON."""


class AttemptLost(SagaError):
    """An attempt's lease ran out: its worker died or hangs. Whether it acted is unknown."""

    public_reason = "It could not be completed in time."


class AnswerMissing(SagaError):
    """The outside world was asked what became of a step, and could not tell."""

    public_reason = "It could not be completed in time."


class TimedOut(SagaError):
    """The event that a step waits for did not come in time."""

    public_reason = "Something that it needs did not arrive in time."
