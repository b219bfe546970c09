"""The platform's errors, one tree. What a caller can do about each is said in its docstring."""

from __future__ import annotations


class OutboxError(Exception):
    """Anything the platform refuses or cannot do."""


class PublishOutsideTransaction(OutboxError):
    """An event was published with no transaction open: the change and its messages could part ways.

    Publish inside ``transaction.atomic()``, the same one that holds the business change.
    """


class WrongDatabase(PublishOutsideTransaction):
    """The open transaction is on another database than the outbox: the change would commit without its messages.

    Open the transaction on the database that ``settings.OUTBOX["DATABASE"]`` names, and make the change there.
    """


class BypassesOutbox(OutboxError):
    """A task was sent where the outbox cannot keep it: before its transaction commits, or after it has.

    Call ``delay()`` of a durable task inside the transaction: it is sent after the commit, and not after a rollback.
    """


class InvalidEvent(OutboxError, ValueError):
    """An event's field does not have its declared type. The message says which."""


class NoSubscriber(OutboxError):
    """An event was published that nobody subscribes to. Subscribe to it, or declare it ``optional=True``."""


class UnknownType(OutboxError):
    """A row's type is neither an event with subscribers nor a registered task here.

    Others may know it: it is tried again for ``UNKNOWN_TYPE_PATIENCE`` seconds, and then kept as Failed.
    """


class UnknownVersion(UnknownType):
    """An event was written by newer code than this process has. Treated as an unknown type is."""


class PermanentError(OutboxError):
    """Raise (or subclass) in a consumer when another attempt cannot help: Failed at the first attempt."""


class BrokerUnavailable(OutboxError):
    """The broker did not take a batch. Nobody knows which of its messages arrived; all are sent again."""


class OperationRefused(OutboxError):
    """An operator asked for something that cannot be, or would do more than was meant. The message says what to do."""


class InvalidSetting(OutboxError):
    """``settings.OUTBOX`` has an unknown option or a value that cannot work. The message says which."""
