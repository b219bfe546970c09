"""Messages that are written together with something else: one statement, and one round trip, fewer.

Who writes at the end of a transaction anyway, as the turn of a saga does, takes along what was published in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from outbox.database import connection
from outbox.rows import NewMessage

MOST = 20
"""Messages that are gathered at most; further ones are written at once."""


class Gathered(NamedTuple):
    """What was gathered, and the savepoints within which: what is published in a further one may be rolled back."""

    messages: list[NewMessage]
    savepoints: tuple[str, ...]


_current: ContextVar[Gathered | None] = ContextVar("outbox_gathered", default=None)


@contextmanager
def gathering() -> Iterator[list[NewMessage]]:
    """Gather what is published inside, in a transaction that is open; the caller writes it before its end.

    Not gathered, but written at once: what has a key, a time or a name, or is published within a further savepoint.
    """
    gathered = Gathered([], _savepoints())
    token = _current.set(gathered)
    try:
        yield gathered.messages
    finally:
        _current.reset(token)


def gather(messages: Sequence[NewMessage]) -> bool:
    """Whether these messages are gathered; if not, write them."""
    gathered = _current.get()
    if gathered is None or gathered.savepoints != _savepoints():
        return False
    if len(gathered.messages) + len(messages) > MOST or not all(message.is_free for message in messages):
        return False
    gathered.messages.extend(messages)
    return True


def _savepoints() -> tuple[str, ...]:
    return tuple(connection().savepoint_ids)
