"""Count the statements of all connections of this process, also of those that other threads open meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


@contextmanager
def statements_of_all_threads() -> Iterator[list[str]]:
    """The statements that this thread runs, and all threads whose connections begin within the block."""
    statements: list[str] = []

    def note(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return run(sql, *rest)

    def join(connection: BaseDatabaseWrapper, **_: object) -> None:
        connection.execute_wrappers.append(note)

    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(note))
        connection_created.connect(join)
        stack.callback(connection_created.disconnect, join)
        yield statements
