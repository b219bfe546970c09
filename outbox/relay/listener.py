"""Wait for PostgreSQL's NOTIFY, and fall back to polling whenever listening fails."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import connections

from outbox.conf import conf
from outbox.relay.wakeup import CHANNEL

logger = logging.getLogger(__name__)


class Listener:
    """Listens on a connection of its own. A dead connection costs promptness, not messages."""

    def __init__(self) -> None:
        self._raw: Any = None

    def wait(self, seconds: float) -> None:
        """Return when something was published, at the latest after so many seconds."""
        try:
            if self._raw is None:
                self._listen()
                return  # what was notified before we listened is found by looking once more
            for _ in self._raw.notifies(timeout=seconds, stop_after=1):
                pass
        except Exception as error:  # noqa: BLE001  (whatever ails the listener, polling goes on)
            logger.warning("Not listening (%s); polling every %s s.", str(error).strip(), seconds)
            self.close()
            time.sleep(min(seconds, conf().POLL_INTERVAL))

    def close(self) -> None:
        """Close the listening connection."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()

    def _listen(self) -> None:
        wrapper = connections[conf().DATABASE]
        parameters = wrapper.get_connection_params()
        parameters.pop("pool", None)
        raw = wrapper.get_new_connection(parameters)
        raw.autocommit = True
        raw.execute(f"LISTEN {CHANNEL}")
        self._raw = raw
