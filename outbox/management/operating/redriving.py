"""``redrive`` and ``discard``, by filter."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from rich.console import Console

from outbox.management.operating.options import actor, add_actor, doubt, moment
from outbox.management.operating.progress import follow
from outbox.models import Pause
from outbox.redrive import discard_selected, redrive_selected
from outbox.selection import Selection


def add(subparsers: Any) -> None:
    """Declare them."""
    redrive = subparsers.add_parser("redrive", help="send failed messages again")
    redrive.add_argument("--reason", default="", help="why; kept in the history of each")
    redrive.set_defaults(run=run_redrive)
    discard = subparsers.add_parser("discard", help="close failed messages for good")
    discard.add_argument("--reason", default="", help="why; kept with each, and required")
    discard.set_defaults(run=run_discard)
    for parser in (redrive, discard):
        _add_filter(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="say how many that are, and change nothing"
        )
        parser.add_argument("--limit", type=int, metavar="N", help="at most so many, the oldest first")
        parser.add_argument("--throttle", type=float, metavar="N", help="at most so many in a second")
        add_actor(parser)


def run_redrive(options: Mapping[str, Any], console: Console) -> None:
    """Redrive."""
    selection = _selection(options, console)
    if _only_counted(selection, options, console):
        return
    pace = {"limit": options["limit"], "per_second": options["throttle"]}
    batches = redrive_selected(selection, reason=options["reason"], by=actor(options), **pace)
    _work(batches, selection, options, console, "redriven")


def run_discard(options: Mapping[str, Any], console: Console) -> None:
    """Discard."""
    selection = _selection(options, console)
    if _only_counted(selection, options, console):
        return
    pace = {"limit": options["limit"], "per_second": options["throttle"]}
    batches = discard_selected(selection, options["reason"], by=actor(options), **pace)
    _work(batches, selection, options, console, "discarded")


def _add_filter(parser: ArgumentParser) -> None:
    chosen = parser.add_argument_group("which messages (failed, not discarded; all that is given must apply)")
    for name, what in (
        ("type", "the type"),
        ("queue", "the queue that they go to, also by their consumer's own settings"),
        ("key", "the key"),
        ("consumer", "the task that consumes them"),
        ("error", "a part of their last error"),
        ("correlation-id", "what they belong to"),
    ):
        chosen.add_argument(f"--{name}", default="", metavar=name.upper(), help=what)
    chosen.add_argument(
        "--since", type=moment, metavar="TIME", help="failed then or later: 2026-06-01T12:00, or 2h ago as 2h"
    )
    chosen.add_argument("--until", type=moment, metavar="TIME", help="failed before then")
    chosen.add_argument(
        "--id", type=UUID, action="append", default=[], help="this message; may be given several times"
    )


def _selection(options: Mapping[str, Any], console: Console) -> Selection:
    same = ("type", "queue", "key", "consumer", "error", "correlation_id")
    for scope in (Pause.Scope.TYPE, Pause.Scope.QUEUE):
        if options[scope]:
            doubt(console, scope, options[scope])
    return Selection(
        **{name: options[name] for name in same},
        failed_since=options["since"],
        failed_until=options["until"],
        ids=tuple(options["id"]),
    )


def _only_counted(selection: Selection, options: Mapping[str, Any], console: Console) -> bool:
    """Say how many there are where no more is wanted."""
    if not options["dry_run"]:
        return False
    counts = selection.counts()
    for type_, (count, oldest) in counts.items():
        console.print(f"{count:>10,}  {type_}, the oldest of {oldest:%Y-%m-%d %H:%M} UTC")
    total = sum(count for count, _ in counts.values())
    console.print(f"{total:>10,}  messages in all. Nothing was changed.")
    return True


def _work(
    batches: Iterator[int], selection: Selection, options: Mapping[str, Any], console: Console, done: str
) -> None:
    total = min(selection.rows().count(), options["limit"] or float("inf"))
    count = follow(batches, console, total=int(total), what=f"messages {done}")
    if not count:
        console.print(f"No message was {done}: nothing that has failed is selected.")
