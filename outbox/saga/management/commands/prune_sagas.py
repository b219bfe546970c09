"""``manage.py prune_sagas``: delete the history of sagas that ended long ago."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from outbox.conf import conf
from outbox.exceptions import OperationRefused
from outbox.management.command import DatabaseCommand
from outbox.saga.prune import Pruned, count_prunable, prune, total

DAY = 24 * 3600.0


class Command(DatabaseCommand):
    """Steps and history leave; the sagas stay, with their outcomes. Open sagas are never touched."""

    help = (
        "Delete the steps and the history of sagas that ended long ago. The sagas themselves stay, with their "
        "outcomes. May run beside itself, and may be interrupted at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How old, and whether to do it."""
        default = conf().SAGA_RETENTION / DAY
        parser.add_argument(
            "--days",
            type=_days,
            default=default,
            help=f"keep what ended within so many days (default: {default:g}, from OUTBOX['SAGA_RETENTION'])",
        )
        parser.add_argument("--dry-run", action="store_true", help="say how many sagas it would be")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune, and say how much that was."""
        age = timedelta(days=options["days"])
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


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1_000_000:
        raise ArgumentTypeError(f"{text} is no number of days.")
    return days
