"""``manage.py relay``: the relay as a process of its own."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from outbox.database import connection
from outbox.relay.batch import Round
from outbox.relay.engine import Relay
from outbox.relay.listener import Listener
from outbox.relay.loop import Loop


class Command(BaseCommand):
    help = (
        "Send outbox messages to the broker until stopped. Any number may run side by side. "
        "SIGTERM or Ctrl-C finishes the batch in hand; a second one leaves at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--name", default="", help="how failed attempts name this relay (default: host and pid)"
        )
        parser.add_argument("--quiet", action="store_true", help="say nothing of single rounds")

    def handle(self, *args: Any, **options: Any) -> None:
        listener = Listener()
        wait = listener.wait if connection().vendor == "postgresql" else None  # others are polled
        loop = Loop(Relay(name=options["name"]), wait, self._quiet if options["quiet"] else self._say)
        self._stop_on_signals(loop)
        gc.collect()
        gc.freeze()  # what was loaded so far stays: the collector need not look through it again and again
        self.stdout.write("The relay is running. Ctrl-C stops it.")
        loop.run()
        listener.close()
        self.stdout.write("The relay has stopped.")

    def _stop_on_signals(self, loop: Loop) -> None:
        asked: list[int] = []

        def stop(signum: int, _: FrameType | None) -> None:
            if asked:
                os._exit(128 + signum)
            asked.append(signum)
            # In a thread: the one that was interrupted may hold the very lock that this takes.
            threading.Thread(target=loop.stop, daemon=True).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)

    def _say(self, done: Round) -> None:
        parts = [f"{done.sent} sent"]
        parts += [f"{done.failed} failed"] if done.failed else []
        parts += [f"{done.released} given back"] if done.released else []
        parts += [f"{done.held} held back by a pause or a rate limit"] if done.held else []
        parts += [f"{done.expired} expired"] if done.expired else []
        parts += [f"{done.refused} refused: the lease had run out"] if done.refused else []
        self.stdout.write(", ".join(parts))
        sys.stdout.flush()

    def _quiet(self, done: Round) -> None:
        """Say nothing."""
