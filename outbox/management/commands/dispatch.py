"""``manage.py dispatch``: one pass of the relay and exit, for cron and for trying things out."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

from outbox.management.command import DatabaseCommand
from outbox.relay.engine import Relay
from outbox.transports.faulty import FaultyTransport


class Command(DatabaseCommand):
    help = "Send every outbox message that is due, then exit: 0 when done, 1 when the broker or the database is away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--fail",
            type=share,
            default=0.0,
            metavar="SHARE",
            help="make sending fail on purpose for this share of the messages, 0 to 1",
        )
        parser.add_argument("--seed", type=int, help="make the failures of --fail repeatable")

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay()
        if options["fail"]:
            relay.transport = FaultyTransport(relay.transport, options["fail"], options["seed"])
        done = relay.turn() + relay.settle_left()
        relay.close()
        held = f", {done.held} held back by a pause or a rate limit" if done.held else ""
        expired = f", {done.expired} expired" if done.expired else ""
        self.stdout.write(
            f"{done.sent} sent, {done.failed} failed, {done.released} given back{held}{expired}."
        )
        if done.released:
            raise CommandError("The broker is away. The messages are safe; run this again when it is back.")


def share(text: str) -> float:
    """A number from 0 to 1.

    Raises:
        ArgumentTypeError: it is not.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is not a share: give a number from 0 (never) to 1 (always).")
    return value
