"""Database connections between two pieces of work: which of them may be used again."""

from __future__ import annotations

import select
from typing import Any

from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from outbox.enforcement import in_test_case

IDLE = 0
"""libpq's ``PQTRANS_IDLE``: no statement is running, no transaction is open."""


def look_after_connections() -> None:
    """As Django's ``close_old_connections``, without its ``SELECT 1`` where a look at the socket says as much.

    A PostgreSQL server tells its client when it ends a connection, and tells it nothing else unasked. So one with
    nothing to read is open, as far as this machine can know; one with something to read is asked, also where
    ``CONN_HEALTH_CHECKS`` is off: such a look costs nothing. Not noticed: a server that is gone without a word, such as
    behind a cut cable. TCP's keepalives find that, or else the next statement fails, as a ``SELECT 1`` would.
    """
    kept: list[Any] = [
        wrapper
        for wrapper in connections.all(initialized_only=True)
        if wrapper.vendor == "postgresql" and wrapper.connection is not None
    ]
    for wrapper in kept:
        if not _is_quiet(wrapper.connection):
            wrapper.errors_occurred = True  # has Django ask, now
    close_old_connections()
    for wrapper in kept:
        if wrapper.connection is not None and not wrapper.errors_occurred:
            wrapper.health_check_done = True


def drop_interrupted() -> None:
    """Close the connections that are in the middle of something although nothing is at work.

    A time limit of Celery's is a signal, and its exception may come at any instruction: also while Django begins or
    ends a transaction. Then Django takes the transaction for open for ever: what follows is never committed, and once
    the server has ended the session, no connection can be made any more. To be called where no transaction can be open:
    around a task, and after such an exception.

    Not covered: transactions of a test case of Django, which are meant to stay open.
    """
    for wrapper in connections.all(initialized_only=True):
        if _is_interrupted(wrapper) and not in_test_case(wrapper):
            # Else Django would wait for the end of that transaction.
            wrapper.in_atomic_block = wrapper.closed_in_transaction = False
            wrapper.close()


def _is_interrupted(wrapper: BaseDatabaseWrapper) -> bool:
    raw = wrapper.connection
    if wrapper.in_atomic_block or raw is None:
        return wrapper.in_atomic_block
    if wrapper.autocommit != wrapper.settings_dict["AUTOCOMMIT"]:
        return True
    return wrapper.vendor == "postgresql" and not raw.closed and raw.info.transaction_status != IDLE


def _is_quiet(raw: Any) -> bool:
    """Whether the server has sent nothing since its last answer."""
    if raw.closed:
        return False
    look = select.poll()
    look.register(raw.fileno(), select.POLLIN)
    return not look.poll(0)
