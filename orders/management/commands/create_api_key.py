"""``manage.py create_api_key USERNAME --name NAME``: a new key for the API, printed once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from orders.models import ApiKey
from orders.services import api_keys
from outbox.management.command import DatabaseCommand


class Command(DatabaseCommand):
    """Standard output carries the key alone, so that a script can take it; all else is on standard error."""

    help = "Makes an API key for a customer and prints it. Only its hash is kept: it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """USERNAME and --name."""
        parser.add_argument("username", metavar="USERNAME", help="whose key it is")
        parser.add_argument("--name", required=True, metavar="NAME", help="what it is for, such as 'till 3'")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the key.

        Raises:
            CommandError: there is no such active user, or the name cannot be used.
        """
        name = _name(options["name"])
        customer = get_user_model().objects.filter(username=options["username"], is_active=True).first()
        if customer is None:
            raise CommandError(f"There is no active user {options['username']!r}.")
        self.stdout.write(api_keys.issue(customer, name))
        self.stderr.write("Keep it: it is not shown again. Send it as  Authorization: Bearer <key>")


def _name(given: str) -> str:
    longest = ApiKey._meta.get_field("name").max_length or 0
    name = given.strip()
    if not name or len(name) > longest or not name.isprintable():
        raise CommandError(f"--name must have 1 to {longest} printable characters.")
    return name
