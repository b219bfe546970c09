"""System check: what ``manage.py check`` and ``migrate`` say where sagas cannot run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.utils.connection import ConnectionDoesNotExist

from outbox.conf import conf
from outbox.database import connection
from outbox.exceptions import InvalidSetting


@register("saga")
def check_database(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """The outbox's database is PostgreSQL: the engine's statements are for no other."""
    try:
        vendor = connection().vendor
    except (InvalidSetting, TypeError, ConnectionDoesNotExist):
        return []  # the outbox's own check tells it
    if vendor == "postgresql":
        return []
    return [
        Error(
            f"Sagas need PostgreSQL, and the outbox's database {conf().DATABASE!r} is {vendor}.",
            hint="Take 'outbox.saga' out of INSTALLED_APPS, or have OUTBOX['DATABASE'] name a database on PostgreSQL.",
            id="saga.E001",
        )
    ]
