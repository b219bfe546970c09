"""Requests at a steady rate, whether or not the answers keep up.

It speaks HTTP itself, because it shares the processor with what it measures: a client library takes ten times as long
for a request as this does, and a third of what the shop itself needs to place an order.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

TIMEOUT = 30.0
SIDE_BY_SIDE = 8

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Answers:
    """What came back.

    Args:
        seconds: from when each request was due to its answer, in the order in which they were due.
        errors: how many were no success.
        late: seconds by which the latest request was sent after it was due: the load's own delay, part of ``seconds``.
    """

    seconds: list[float]
    errors: int
    late: float


def post_steadily(
    url: str, body: Mapping[str, Any], key: str, *, rate: float, seconds: float, warm_up: int = 0
) -> Answers:
    """POST at so many requests a second for so long.

    Args:
        warm_up: requests before these, not counted; several at a time, so that each process of the server gets some.

    A latency counts from the moment at which the request was due: a server that falls behind cannot hide it.
    """
    gc.collect()
    gc.freeze()  # a long look for garbage here would count as the server's delay
    return asyncio.run(_post_steadily(_Client(url, body, key), rate, max(1, round(rate * seconds)), warm_up))


async def _post_steadily(client: _Client, rate: float, count: int, warm_up: int) -> Answers:
    for _ in range(0, warm_up, SIDE_BY_SIDE):
        await asyncio.gather(*(client.post(time.monotonic()) for _ in range(SIDE_BY_SIDE)))
    client.late = 0.0
    start = time.monotonic() + 0.1
    tasks = []
    for number in range(count):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(client.post(due)))
    done = await asyncio.gather(*tasks)
    client.close()
    return Answers([seconds for seconds, _ in done], sum(not good for _, good in done), client.late)


@dataclass
class _Client:
    """HTTP/1.1 with as many connections as there are requests on their way; each is used again."""

    url: str
    body: Mapping[str, Any]
    key: str
    late: float = 0.0
    idle: list[Connection] = field(default_factory=list)

    async def post(self, due: float) -> tuple[float, bool]:
        """One request; returns the seconds since it was due, and whether it succeeded."""
        self.late = max(self.late, time.monotonic() - due)
        good = False
        with suppress(OSError, EOFError, TimeoutError, ValueError):
            async with asyncio.timeout(TIMEOUT):
                good = 200 <= await self._exchange() < 300
        return time.monotonic() - due, good

    def close(self) -> None:
        """End all connections."""
        for _, writer in self.idle:
            writer.close()

    async def _exchange(self) -> int:
        """Send the request and read its answer; returns the status."""
        where = urlsplit(self.url)
        reader, writer = (
            self.idle.pop() if self.idle else await asyncio.open_connection(where.hostname, where.port)
        )
        body = json.dumps(self.body).encode()
        lines = (
            f"POST {where.path} HTTP/1.1",
            f"Host: {where.netloc}",
            f"Authorization: Bearer {self.key}",
            f'Idempotency-Key: "{uuid4()}"',
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        _, _, length = head.partition("\r\ncontent-length:")
        await reader.readexactly(int(length.partition("\r\n")[0]))
        self.idle.append((reader, writer))
        return int(head.split(" ", 2)[1])
