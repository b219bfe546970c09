"""Options that several subcommands share, and what they become."""

from __future__ import annotations

import getpass
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rich.console import Console

from outbox import controls
from outbox.overview import now

if TYPE_CHECKING:
    from outbox.journal import Actor

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_actor(
    parser: ArgumentParser,
    what: str = "who you are; a user's name here puts it into the admin's history, too",
) -> None:
    """Who does it: ``--by``."""
    parser.add_argument("--by", metavar="NAME", default="", help=what)


def actor(options: Mapping[str, Any]) -> Actor:
    """The user of that name; else the name as it is; else the system's login name."""
    if name := options["by"]:
        users = get_user_model()
        return users._default_manager.filter(**{users.USERNAME_FIELD: name}).first() or str(name)
    return login_name()


def login_name() -> str:
    """The system's name for who runs this command; empty where it knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


def doubt(console: Console, scope: str, value: str) -> None:
    """Warn of a name that nothing here knows."""
    if doubtful := controls.doubts(scope, value):
        console.print(f"Warning: {doubtful}", style="yellow")


def duration(text: str) -> timedelta:
    """A time such as ``90s``, ``15m``, ``12h``, ``7d`` or ``2w``.

    Raises:
        ArgumentTypeError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if not found:
        raise ArgumentTypeError(f"{text!r} is no time: write 90s, 15m, 12h, 7d or 2w.")
    try:
        return timedelta(**{UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise ArgumentTypeError(f"{text!r} is too long.") from None


def moment(text: str) -> datetime:
    """A point in time: ``2026-06-01T12:00``, or so long ago: ``2h``. The zone is Django's where none is given.

    Raises:
        ArgumentTypeError: it is none.
    """
    with suppress(ArgumentTypeError, OverflowError):
        return now() - duration(text)
    found = None
    with suppress(ValueError):
        found = parse_datetime(text if len(text) > 10 else f"{text}T00:00")
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no time: write 2026-06-01T12:00, or 2h for two hours ago.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)
