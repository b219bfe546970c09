"""``pause``, ``resume``, ``limit`` and ``unlimit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from outbox import controls
from outbox.management.operating.options import actor, add_actor, doubt
from outbox.models import Pause


def add(subparsers: Any) -> None:
    """Declare them."""
    pause = subparsers.add_parser("pause", help="send no more messages of a type, a queue or a key")
    resume = subparsers.add_parser("resume", help="end a pause")
    for parser in (pause, resume):
        parser.add_argument("scope", choices=Pause.Scope.values)
        parser.add_argument("value", help="its name, such as orders.order_paid")
    limit = subparsers.add_parser("limit", help="send at most so many messages of a type in a second")
    limit.add_argument("type")
    limit.add_argument(
        "rate", type=float, help="messages in a second, by all relays together; 0.1: one in ten seconds"
    )
    limit.add_argument(
        "--burst", type=int, help="how many may go at once after a quiet time (default: a second's worth)"
    )
    unlimit = subparsers.add_parser("unlimit", help="end a rate limit")
    unlimit.add_argument("type")
    for parser in (pause, limit):
        parser.add_argument("--reason", required=True, help="why; shown to whoever wonders")
    for parser in (pause, resume, limit, unlimit):
        add_actor(parser)
    pause.set_defaults(run=run_pause)
    resume.set_defaults(run=run_resume)
    limit.set_defaults(run=run_limit)
    unlimit.set_defaults(run=run_unlimit)


def run_pause(options: Mapping[str, Any], console: Console) -> None:
    """Pause."""
    paused = controls.pause(options["scope"], options["value"], options["reason"], by=actor(options))
    doubt(console, options["scope"], options["value"])
    console.print(f"The {paused} is paused. Relays know within a second.")


def run_resume(options: Mapping[str, Any], console: Console) -> None:
    """Resume."""
    let_go = controls.resume(options["scope"], options["value"], by=actor(options))
    console.print(f"The {options['scope']} {options['value']} runs again; {_told(let_go)}.")


def run_limit(options: Mapping[str, Any], console: Console) -> None:
    """Limit."""
    limit = controls.set_limit(
        options["type"], options["rate"], options["reason"], burst=options["burst"], by=actor(options)
    )
    doubt(console, "type", options["type"])
    console.print(
        f"{limit.type} is limited to {limit.per_second:g}/s, {limit.burst:,} at once. Relays know within a second."
    )


def run_unlimit(options: Mapping[str, Any], console: Console) -> None:
    """End a limit."""
    let_go = controls.lift_limit(options["type"], by=actor(options))
    console.print(f"{options['type']} has no limit any more; {_told(let_go)}.")


def _told(let_go: controls.LetGo) -> str:
    if not let_go.left:
        return f"{let_go.freed:,} messages are due again"
    return (
        f"{let_go.freed:,} messages are due again, and the relays let go {let_go.left:,} more "
        "within about a minute"
    )
