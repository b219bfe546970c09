"""Questions that may take only so long: a console must never be what makes the database slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connections, transaction
from psycopg.errors import QueryCanceled


class TookTooLong(Exception):
    """The database did not answer within the time it was given."""


@contextmanager
def time_limit(alias: str, seconds: float) -> Iterator[None]:
    """Have the server end each statement in here that takes longer; the work is a read, and is rolled back.

    Args:
        alias: of the database.
        seconds: for each statement.

    Raises:
        TookTooLong: one did.
    """
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            usual = cursor.fetchone()[0]
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(seconds * 1000))])
            yield
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [usual])
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TookTooLong from error
        raise
