"""The inbox: messages that come from elsewhere take effect once.

Messages of our own need none: their row is the mark. A webhook, or a consumer of somebody else's broker, keeps the
sender's id in the transaction of the effect.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db.models.constants import OnConflict

from outbox.context import working_on
from outbox.database import atomic, connection, execute
from outbox.enforcement import require_transaction
from outbox.models import InboxMessage

P = ParamSpec("P")
R = TypeVar("R")

LONGEST_ID = 200


def receive(consumer: str, message_id: str) -> bool:
    """Take a foreign message, in the caller's transaction: commit it together with the effect.

    One that runs at the same time with the same message waits for this transaction, then gets ``False``; when this
    one rolls back, the message was never received, and the other gets ``True``.

    Args:
        consumer: who takes it, such as ``billing.webhook``. Each consumer takes each message once.
        message_id: as the sender names it, at most 200 characters.

    Returns:
        Whether the message is new, and so its effect is to happen now.

    Raises:
        PublishOutsideTransaction: no transaction is open: the mark could be kept without the effect.
        ValueError: a name is empty or too long.

    Not guaranteed: that a message is recognised after its row has been pruned. Keep rows for longer than the sender
    may repeat itself.
    """
    require_transaction(f"inbox message {message_id} of {consumer}")
    for name, value in (("consumer", consumer), ("message_id", message_id)):
        if not 0 < len(value) <= LONGEST_ID:
            raise ValueError(f"{name} must have 1 to {LONGEST_ID} characters, not {len(value)}.")
    return execute(_insert_once(), [consumer, message_id]) == 1


def once(consumer: str, message_id: Callable[P, str]) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Decorator: run a function once per foreign message, in a transaction of its own with the mark.

    What it publishes names the foreign message as its cause. For a duplicate it is not called, and the result is
    ``None``.

    Args:
        consumer: who takes the messages.
        message_id: gets the function's arguments and returns the message's id.

    Example:
        ``@once("billing.webhook", lambda request, body: body["event_id"])``
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
            id_ = message_id(*args, **kwargs)
            with atomic(), working_on(causation_id=id_):
                return function(*args, **kwargs) if receive(consumer, id_) else None

        return run

    return decorate


def _insert_once() -> str:
    """The database's own way to insert a row unless it is there."""
    database = connection()
    verb = database.ops.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix = database.ops.on_conflict_suffix_sql([], OnConflict.IGNORE, [], [])
    return f"{verb} {InboxMessage._meta.db_table} (consumer, message_id) VALUES (%s, %s) {suffix}"
