"""A TCP proxy that breaks on demand: between any client and a server such as PostgreSQL or Valkey.

with Proxy(url) as proxy:
    connect(proxy.url)
    proxy.refuse(); proxy.hang(); proxy.cut(); proxy.reset_after(10_000); proxy.lose_answer(b"COMMIT"); proxy.heal()
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

CHUNK = 65_536
PATIENCE = 10.0
"""Seconds that a command to the proxy may take."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset, and throws away what was not sent."""


class Proxy:
    """Listens on a port of its own, from its making until it is closed; runs in a thread of its own.

    Args:
        url: of the server behind it.
    """

    def __init__(self, url: str) -> None:
        self._server_url = urlsplit(url)
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._pairs: set[_Pair] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0
        self.delay = 0.0
        """Seconds by which every piece of data comes late."""
        self.round_trips = 0
        """How often a server answered something; an answer in several pieces counts once."""
        self.hits = 0
        """How many connections a fault has broken, or kept from being made to the end."""
        self.requests_left: int | None = None
        self.answer_to_lose: bytes | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The server's URL, with the proxy's address."""
        login, at, _ = self._server_url.netloc.rpartition("@")
        return self._server_url._replace(netloc=f"{login}{at}127.0.0.1:{self.port}").geturl()

    def heal(self) -> None:
        """All is well again, for connections that live and for new ones."""
        self.requests_left = self.answer_to_lose = None
        self._do(self._open())

    def refuse(self) -> None:
        """Nobody listens any more, and what was connected is reset: the server's process is gone."""
        self._do(self._refuse())

    def hang(self) -> None:
        """Connections are taken and kept, and nothing passes any more: a frozen server, or a firewall."""
        self._do(self._hang())

    def cut(self) -> int:
        """Reset every connection that there is. New ones are let through. Returns how many there were."""
        return self._do(self._cut())

    def reset_after(self, count: int) -> None:
        """Let so many bytes pass to the server, over all connections, then reset the one that sends more; once."""
        self.requests_left = count

    def lose_answer(self, part: bytes) -> None:
        """Reset the next connection on which the server's answer has that part, and keep the answer; once."""
        self.answer_to_lose = part

    def wait_for_hit(self, before: int, seconds: float) -> None:
        """Wait until more than ``before`` faults have hit, at most so many seconds."""
        end = time.monotonic() + seconds
        while self.hits <= before and time.monotonic() < end:
            time.sleep(0.01)

    def close(self) -> None:
        """End it, and all its connections."""
        self._do(self._refuse())
        self._do(self._idle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._pairs)

    def _do(self, work: Coroutine[Any, Any, int | None]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE) or 0

    async def _open(self) -> None:
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, reuse_address=True
            )
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _hang(self) -> None:
        await self._open()
        self._flowing.clear()

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._flowing.set()
        await self._cut()

    async def _cut(self) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            self._break(pair)
        return len(pairs)

    async def _idle(self) -> None:
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)

    def _break(self, pair: _Pair) -> None:
        self.hits += 1
        pair.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._server_url.hostname or "127.0.0.1", self._server_url.port
        try:
            there = await asyncio.open_connection(host, port)
        except OSError:
            _reset(writer)
            return
        pair = _Pair((reader, writer), there)
        self._pairs.add(pair)
        try:
            await asyncio.gather(
                self._pump(pair, reader, there[1], self._passes_request),
                self._pump(pair, there[0], writer, self._passes_answer),
            )
        finally:
            self._pairs.discard(pair)
            pair.reset()

    async def _pump(
        self,
        pair: _Pair,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        passes: Callable[[_Pair, bytes], bytes],
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                await self._keep_waiting()
                allowed = passes(pair, data)
                target.write(allowed)
                await target.drain()
                if len(allowed) < len(data):
                    self._break(pair)
                    return
            target.write_eof()
        except OSError:
            pair.reset()

    async def _keep_waiting(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if not self._flowing.is_set():
            self.hits += 1
            await self._flowing.wait()

    def _passes_request(self, pair: _Pair, data: bytes) -> bytes:
        """The part of it that may pass."""
        pair.asked = True
        if self.requests_left is None:
            return data
        if len(data) <= self.requests_left:
            self.requests_left -= len(data)
            return data
        allowed, self.requests_left = data[: self.requests_left], None
        return allowed

    def _passes_answer(self, pair: _Pair, data: bytes) -> bytes:
        self.round_trips += pair.asked
        pair.asked = False
        if self.answer_to_lose is not None and self.answer_to_lose in data:
            self.answer_to_lose = None
            return b""
        return data


class _Pair:
    """A client's connection and the one to the server that was made for it."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._client, self._server = client[1], server[1]
        self.asked = False

    def reset(self) -> None:
        """Break the client's; the server gets what has passed, and then sees that it is alone."""
        _reset(self._client)
        self._server.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and not writer.transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
