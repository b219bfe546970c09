"""Constraints that not every database has."""

from __future__ import annotations

from typing import Any

from django.db import models

NOTHING = "DO 0"
"""A statement of MariaDB and MySQL that does nothing."""


class PartlyUnique(models.UniqueConstraint):
    """A unique constraint of some of the rows; left out on MariaDB and MySQL, which have no partial indexes.

    Django leaves it out, too, but as the text ``None`` among the statements that create a table with defaults.
    """

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        """The statement that creates it, or one that does nothing."""
        return super().create_sql(model, schema_editor) or NOTHING
