"""The platform's errors, one tree. What a caller can do about each is said in its docstring."""

from __future__ import annotations


class OutboxError(Exception):
    """Anything the platform refuses or cannot do."""


class PublishOutsideTransaction(OutboxError):
    """An event was published with no transaction open: the change and its messages could part ways.

    Publish inside ``transaction.atomic()``, the same one that holds the business change.
    """


class NoSubscriber(OutboxError):
    """An event was published that nobody subscribes to. Subscribe to it, or declare it ``optional=True``."""


class UnknownType(OutboxError):
    """A row's type is neither an event with subscribers nor a registered task: permanent, kept as Failed."""


class PermanentError(OutboxError):
    """Raise (or subclass) in a consumer when another attempt cannot help: Failed at the first attempt."""


class BrokerUnavailable(OutboxError):
    """The broker did not take a batch. Nobody knows which of its messages arrived; all are sent again."""


class InvalidSetting(OutboxError):
    """``settings.OUTBOX`` has an unknown option or a value that cannot work. The message says which."""
