"""What the platform's commands have in common."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from outbox.database import DATABASE_AWAY


class DatabaseCommand(BaseCommand):
    """A command that works on the database, and says in a sentence when that is away."""

    away_code = 1
    """Exit code when the database is away."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it.

        Raises:
            CommandError: the database is away, or what the command itself raises.
        """
        try:
            return super().execute(*args, **options)
        except DATABASE_AWAY as error:
            why = f"The database is away: {str(error).strip()}"
            raise CommandError(why, returncode=self.away_code) from None
