"""``manage.py audit``: do the promises hold over the data as it is now?"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from outbox.audit import findings
from outbox.database import connection
from outbox.management.command import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Check the platform's and the application's invariants over live data. Exit 0: clean; 1: findings; 2: it could "
        "not look, as the database is away."
    )
    away_code = 2

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help='print {"audit": "clean"} or {"audit": [findings]}'
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if connection().vendor != "postgresql":
            raise CommandError(
                "The audit asks in PostgreSQL's own words; this database is another one.", returncode=2
            )
        found = findings()
        if options["json"]:
            self.stdout.write(json.dumps({"audit": found or "clean"}))
        else:
            self.stdout.write("\n".join(f"- {finding}" for finding in found) or "The audit is clean.")
        if found:
            sys.exit(1)
