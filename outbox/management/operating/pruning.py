"""``prune``: delete what is finished and old."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from outbox.management.operating.options import duration
from outbox.management.operating.progress import follow
from outbox.prune import count_prunable, prune


def add(subparsers: Any) -> None:
    """Declare it."""
    parser = subparsers.add_parser("prune", help="delete consumed and discarded messages that are old enough")
    parser.add_argument(
        "--older-than",
        type=duration,
        metavar="AGE",
        help="12h, 7d, 2w; an hour at least (default: OUTBOX['RETENTION'])",
    )
    parser.add_argument("--dry-run", action="store_true", help="say how many that are, and delete nothing")
    parser.set_defaults(run=run)


def run(options: Mapping[str, Any], console: Console) -> None:
    """Prune."""
    counts = count_prunable(options["older_than"])
    if options["dry_run"]:
        for kind, count in counts.items():
            console.print(f"{count:>10,}  {kind}")
        console.print("Nothing was deleted.")
        return
    batches = (batch.count for batch in prune(options["older_than"]))
    if not follow(batches, console, total=sum(counts.values()), what="rows deleted"):
        console.print("Nothing is old enough.")
