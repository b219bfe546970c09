"""The overview, which ``outbox`` alone shows, and ``health``."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from outbox.database import DATABASE_AWAY, connection
from outbox.health import findings
from outbox.management.operating.drawing import draw
from outbox.overview import overview

WATCH_SECONDS = 2.0
SHORTEST = 0.2


def add_options(parser: ArgumentParser) -> None:
    """Those of ``outbox`` alone."""
    parser.add_argument(
        "--watch",
        nargs="?",
        type=interval,
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help=f"look again and again, every {WATCH_SECONDS:g} s or as often as given",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; with --watch one per line")
    parser.set_defaults(run=run)


def add(subparsers: Any) -> None:
    """Declare ``health``."""
    parser = subparsers.add_parser("health", help="what ails the tables; exit 0: nothing, 1: something")
    parser.add_argument("--json", action="store_true", help='print {"findings": [...]}')
    parser.set_defaults(run=run_health)


def run(options: Mapping[str, Any], console: Console) -> None:
    """Show the overview, once or again and again until Ctrl-C."""
    show = _print_json if options["json"] else _print_drawn
    seconds = options["watch"]
    with suppress(KeyboardInterrupt):
        if not seconds:
            show(console)
        elif options["json"] or not console.is_terminal or console.is_dumb_terminal:
            _repeat(seconds, lambda: show(console) if options["json"] else console.print(_drawn()))
        else:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                _repeat(seconds, lambda: live.update(_drawn(), refresh=True))


def run_health(options: Mapping[str, Any], console: Console) -> None:
    """Show what is the matter.

    Raises:
        CommandError: something is.
    """
    found = findings()
    if options["json"]:
        console.print(json.dumps({"findings": [asdict(finding) for finding in found]}), soft_wrap=True)
    for finding in () if options["json"] else found:
        console.print(f"- {finding.message}\n  {finding.remedy}", soft_wrap=True)
    if found:
        raise CommandError(f"{len(found)} to be seen to.")
    if not options["json"]:
        console.print("Nothing ails the outbox's tables.")


def interval(text: str) -> float:
    """Seconds between two looks.

    Raises:
        ArgumentTypeError: it is no number, or too small a one.
    """
    with suppress(ValueError):
        if SHORTEST <= (value := float(text)) <= 86_400:
            return value
    raise ArgumentTypeError(f"{text!r} is no interval: give seconds, {SHORTEST:g} or more.")


def _repeat(seconds: float, show: Callable[[], None]) -> None:
    while True:
        show()
        time.sleep(seconds)


def _drawn() -> RenderableType:
    """The overview, or why there is none: whoever watches wants to see when the database is back."""
    try:
        return draw(overview())
    except DATABASE_AWAY as error:
        connection().close()
        return Text(f"The database is away: {str(error).strip()}", style="red")


def _print_drawn(console: Console) -> None:
    console.print(draw(overview()))


def _print_json(console: Console) -> None:
    console.print(json.dumps(asdict(overview()), cls=DjangoJSONEncoder), soft_wrap=True)
