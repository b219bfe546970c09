"""Loopback ports for servers that must not be in anybody's way."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

# Below the range that systems hand to outgoing connections (32768 and up on Linux, 49152 on macOS): a client
# that keeps reconnecting to a stopped server could otherwise be given that very port, and so keep the server
# from coming back.
FIRST, LAST = 20_000, 29_999


def free_ports() -> Iterator[int]:
    """Yield loopback TCP ports that are free at that moment, in random order, without end.

    Not guaranteed: another process may take the port before the caller does; take the next one then.
    """
    while True:
        port = random.randint(FIRST, LAST)  # noqa: S311 - no secret, only spread
        if is_free(port):
            yield port


def is_free(port: int) -> bool:
    """Say whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
