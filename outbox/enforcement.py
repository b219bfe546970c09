"""Work that would slip past the outbox, found where it is made."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from outbox.conf import conf
from outbox.database import connection
from outbox.exceptions import BypassesOutbox, PublishOutsideTransaction, WrongDatabase

MACHINERY = ("outbox.", "celery.")
"""Modules that a warning does not point to: the caller's line is wanted."""


class BypassWarning(RuntimeWarning):
    """What ``ENFORCE = "warn"`` says instead of raising :class:`BypassesOutbox`."""


def require_transaction(what: str) -> None:
    """Refuse to publish where the change and its messages could part ways.

    The transaction that a test case runs in does not count: what is forgotten is found by the tests, too.

    Raises:
        PublishOutsideTransaction: no transaction is open on the outbox's database.
        WrongDatabase: one is open, on another database only.

    Not detected: transactions open on both databases, and the change made on the other one.
    """
    if in_transaction(connection()):
        return
    own = conf().DATABASE
    others = [c.alias for c in connections.all(initialized_only=True) if in_transaction(c)]
    if others:
        raise WrongDatabase(
            f"{what!r} came in a transaction of the database {others[0]!r}, but the outbox is in {own!r}: they would "
            f"not commit together. Use `with transaction.atomic(using={own!r}):`, and make the change there, too."
        )
    raise PublishOutsideTransaction(
        f"{what!r} needs a transaction of the database {own!r}, and none is open. Wrap the business change and "
        "this call in one `with transaction.atomic():`."
    )


def guard_sending(task: str, *, durable: bool) -> None:
    """Find a task sent where the outbox does not keep it together with the change that it follows.

    Raises:
        BypassesOutbox: ``settings.OUTBOX["ENFORCE"]`` is ``raise``, and
            - the task is not durable and a transaction is open: it runs though that rolls back, or before it commits;
            - a hook of ``on_commit`` sends it: a crash between commit and hook loses it.

    Not detected: what is sent without the task's class, such as ``app.send_task(name)``, or later than the hook
    itself, such as from a thread that it started.
    """
    if conf().ENFORCE == "off":
        return
    if in_transaction(connection()):
        if not durable:
            _object(
                f"The task {task!r} is not durable and was sent inside a transaction: it runs though the "
                "transaction rolls back, and may run before it commits. Leave out durable=False, or send it outside."
            )
    elif _in_commit_hook(sys._getframe(1)):
        _object(
            f"The task {task!r} was sent by an on_commit hook: a crash right after the commit loses it. Call "
            "delay() of a durable task inside the transaction instead: it is sent after the commit."
        )


def in_transaction(database: BaseDatabaseWrapper) -> bool:
    """Whether the caller opened a transaction, apart from the one around a Django test case."""
    return database.in_atomic_block and any(not _is_of_test_case(block) for block in database.atomic_blocks)


def in_test_case(database: BaseDatabaseWrapper) -> bool:
    """Whether a Django test case has opened a transaction around its test: nothing in it is ever committed."""
    return any(map(_is_of_test_case, database.atomic_blocks))


def _is_of_test_case(block: object) -> bool:
    return getattr(block, "_from_testcase", False)


HOOK_RUNNER = BaseDatabaseWrapper.run_and_clear_commit_hooks.__code__


def _in_commit_hook(frame: FrameType | None) -> bool:
    """Django keeps no mark of it: the call stack tells."""
    while frame is not None:
        if frame.f_code is HOOK_RUNNER:
            return True
        frame = frame.f_back
    return False


def _object(text: str) -> None:
    if conf().ENFORCE == "raise":
        raise BypassesOutbox(text)
    frame, depth = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).startswith(MACHINERY):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, BypassWarning, stacklevel=depth)
