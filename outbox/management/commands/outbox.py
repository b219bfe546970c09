"""``manage.py outbox``: how the outbox stands, and what an operator does about it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import IO, Any, cast

from django.core.management.base import CommandError

try:
    from rich.console import Console
except ModuleNotFoundError:
    sys.exit("manage.py outbox needs the package rich, which is not installed: pip install rich")

from outbox.exceptions import OperationRefused
from outbox.management.command import DatabaseCommand
from outbox.management.operating import controlling, looking, pruning, redriving

PIPE_WIDTH = 160
"""Columns where there is no terminal to fit in."""


class Command(DatabaseCommand):
    help = "Show how the outbox stands: messages by state and type, lag, rates, leases, pauses. Or act on it:"

    def add_arguments(self, parser: ArgumentParser) -> None:
        looking.add_options(parser)
        subparsers = parser.add_subparsers(title="subcommands", dest="subcommand", metavar="SUBCOMMAND")
        for group in (controlling, redriving, pruning, looking):
            group.add(subparsers)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run"](options, self._console(no_color=options["no_color"]))
        except OperationRefused as error:
            raise CommandError(str(error)) from None

    def _console(self, *, no_color: bool) -> Console:
        """Colours and redrawing on a terminal; plain text elsewhere, and where ``NO_COLOR`` is set."""
        self.stdout.ending = ""  # the console ends its own lines
        return Console(
            file=cast(IO[str], self.stdout),
            width=None if self.stdout.isatty() else PIPE_WIDTH,
            no_color=no_color or None,
            highlight=False,
            markup=False,
            emoji=False,
        )
