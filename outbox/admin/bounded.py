"""Questions that may take only so long: a console must never be what makes the database slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connections, transaction

SET_LIMIT = "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)"


class TookTooLong(Exception):
    """The database did not answer within the time it was given."""


@contextmanager
def time_limit(alias: str, seconds: float) -> Iterator[None]:
    """Have the server end each statement in here that takes longer. Only PostgreSQL can; elsewhere there is no limit.

    Args:
        alias: of the database.
        seconds: for each statement.

    Raises:
        TookTooLong: one did.
    """
    if connections[alias].vendor != "postgresql":
        yield
        return
    from psycopg.errors import QueryCanceled  # other databases do without the package

    # Inside a transaction the usual limit is not restored by its end.
    inside = connections[alias].in_atomic_block
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(SET_LIMIT, [str(max(1, int(seconds * 1000)))])
            usual = cursor.fetchone()[0]
            yield
            if inside:
                cursor.execute(SET_LIMIT, [usual])
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TookTooLong from error
        raise
