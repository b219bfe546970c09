"""``manage.py demo``: places orders and follows them to their end. See ``project.demo``."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Becomes ``python -m project.demo``.

    The settings that Django has read by now are not those of the stack that it may have to start.
    """

    help = (
        "Place orders as a customer would, follow every one to its end, and audit. See: manage.py demo --help"
    )

    def run_from_argv(self, argv: list[str]) -> None:
        """Replace this process by the demonstration, with the same arguments."""
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "project.demo", *argv[2:]])  # noqa: S606 - our own module

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse to run inside another program."""
        raise CommandError(
            "The demonstration is a program of its own: manage.py demo, or python -m project.demo"
        )
