"""Objects of Django's from rows of our own statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

M = TypeVar("M", bound=Model)


def columns_of(model: type[Model], table: str = "") -> str:
    """What a statement selects for :func:`made_from`.

    Args:
        model: whose columns.
        table: its name in the statement, where there are several.
    """
    prefix = f"{table}." if table else ""
    return ", ".join(f'{prefix}"{field.column}"' for field in model._meta.concrete_fields)


def made_from(model: type[M], row: Sequence[Any]) -> M:
    """The object of a row whose columns are those of :func:`columns_of`, as if Django had read it.

    Not guaranteed: what a field makes of its column itself (``from_db_value``), such as JSON.
    """
    return model.from_db(DEFAULT_DB_ALIAS, [field.attname for field in model._meta.concrete_fields], row)
