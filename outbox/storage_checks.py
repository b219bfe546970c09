"""System checks of the database: ``manage.py check --database default`` (and ``migrate``) tell what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import Error

from outbox import storage
from outbox.conf import conf


@register(Tags.database)
def check_storage(
    app_configs: Sequence[Any] | None,  # noqa: ARG001  (Django's signature of a system check)
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """The outbox's tables have the storage options and the indexes that keep a busy queue quick."""
    if conf().DATABASE not in (databases or ()):
        return []
    try:
        return [*_options(), *_indexes()]
    except Error as error:
        return [
            Warning(
                f"The outbox's tables could not be looked at: {str(error).strip()}",
                hint="Is the database there, and may this role read pg_class?",
                id="outbox.W012",
            )
        ]


def _options() -> list[CheckMessage]:
    return [
        Warning(
            f"The table {table} has no {', '.join(options)}: a busy outbox grows, and every claim gets slower.",
            hint=f"Migrate, or run: {storage.set_options_sql(table, options)};",
            id="outbox.W010",
        )
        for table, options in storage.missing_options().items()
    ]


def _indexes() -> list[CheckMessage]:
    return [
        Warning(
            f"The index {name} is missing or invalid: without it, looking for messages reads the whole table.",
            hint="Migrate; or drop what is left of it, and make it again with CREATE INDEX CONCURRENTLY.",
            id="outbox.W011",
        )
        for name in storage.missing_indexes()
    ]
