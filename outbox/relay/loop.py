"""The relay's loop: turn, wait, turn. It only waits; all that happens is in :class:`outbox.relay.engine.Relay`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from outbox.conf import conf
from outbox.connections import look_after_connections
from outbox.database import DATABASE_AWAY, connection
from outbox.relay.batch import Round
from outbox.relay.engine import Relay

logger = logging.getLogger(__name__)


class Loop:
    """Runs a relay until it is stopped, through outages of broker and database.

    Args:
        relay: the relay to run.
        wait: waits up to so many seconds, less when there is news; by default for :meth:`wake`.
        on_round: told of every round that did something.
    """

    def __init__(
        self,
        relay: Relay,
        wait: Callable[[float], None] | None = None,
        on_round: Callable[[Round], None] = lambda _: None,
    ) -> None:
        self.relay = relay
        self.on_round = on_round
        self.stopping = threading.Event()
        self._news = threading.Event()
        self._wait = wait or self._wait_for_news

    def run(self) -> None:
        """Turn until :meth:`stop`; a batch in hand is finished first."""
        while not self.stopping.is_set():
            pause = self._turn()
            if not self.stopping.is_set():
                self._wait(pause)
        self.relay.close()
        connection().close()

    def wake(self) -> None:
        """There is news: end the wait."""
        self._news.set()

    def stop(self) -> None:
        """End the loop after the batch in hand. From a signal handler, call it in a thread of its own."""
        self.stopping.set()
        self.relay.stopping = True
        self._news.set()

    def _turn(self) -> float:
        """One turn; returns the longest time to wait before the next."""
        look_after_connections()
        try:
            done = self.relay.turn()
        except DATABASE_AWAY as error:
            logger.warning("The database is away: %s. Trying again.", str(error).strip())
            connection().close()
            return conf().POLL_INTERVAL
        except Exception:
            logger.exception("A round of the relay failed. Trying again.")
            connection().close()
            return conf().POLL_INTERVAL
        if done.claimed:
            self.on_round(done)
        return min(self.relay.patience, conf().POLL_INTERVAL)

    def _wait_for_news(self, seconds: float) -> None:
        self._news.wait(seconds)
        self._news.clear()
