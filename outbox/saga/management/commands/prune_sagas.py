"""``manage.py prune_sagas``: delete the history of sagas that ended long ago."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from outbox.exceptions import OperationRefused
from outbox.management.command import DatabaseCommand
from outbox.management.operating.options import duration
from outbox.saga.prune import Pruned, count_prunable, prune, total


class Command(DatabaseCommand):
    """Steps and history leave; the sagas stay, with their outcomes. Open sagas are never touched."""

    help = (
        "Delete the steps and the history of sagas that ended long ago. The sagas themselves stay, with their "
        "outcomes. May run beside itself, and may be interrupted at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How old, and whether to do it."""
        parser.add_argument(
            "--older-than",
            type=duration,
            metavar="AGE",
            help="ended so long ago: 12h, 7d, 2w; an hour at least (default: OUTBOX['SAGA_RETENTION'])",
        )
        parser.add_argument("--dry-run", action="store_true", help="say how many sagas it would be")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune, and say how much that was."""
        age = options["older_than"]
        try:
            if options["dry_run"]:
                print(f"{count_prunable(age):,} sagas would lose their history.")
                return
            pruned = total(self._told(batch) for batch in prune(age))
        except OperationRefused as error:
            raise CommandError(str(error)) from None
        print(
            f"Pruned {pruned.sagas:,} sagas: {pruned.steps:,} steps and {pruned.transitions:,} lines of history."
        )

    def _told(self, batch: Pruned) -> Pruned:
        """Show that it goes on, where somebody watches."""
        if self.stderr.isatty():
            self.stderr.write(f"… {batch.sagas} sagas", ending="\r")
        return batch
