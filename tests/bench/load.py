"""Requests at a steady rate, whether or not the answers keep up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

TIMEOUT = 30.0


@dataclass(frozen=True)
class Answers:
    """What came back: seconds from when each request was due to its answer, and how many were no success."""

    seconds: list[float]
    errors: int


def post_steadily(
    url: str, body: Mapping[str, Any], key: str, *, rate: float, seconds: float, warm_up: int = 0
) -> Answers:
    """POST at so many requests a second for so long.

    Args:
        warm_up: requests before these, one after the other, not counted.

    A latency counts from the moment at which the request was due: a server that falls behind cannot hide it.
    """
    return asyncio.run(_post_steadily(url, body, key, rate, max(1, round(rate * seconds)), warm_up))


async def _post_steadily(
    url: str, body: Mapping[str, Any], key: str, rate: float, count: int, warm_up: int
) -> Answers:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT, trust_env=False, limits=limits
    ) as client:
        for _ in range(warm_up):
            await _post(client, url, body, time.monotonic())
        start = time.monotonic() + 0.1
        tasks = []
        for number in range(count):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(_post(client, url, body, due)))
        done = await asyncio.gather(*tasks)
    return Answers([seconds for seconds, _ in done], sum(not good for _, good in done))


async def _post(
    client: httpx.AsyncClient, url: str, body: Mapping[str, Any], due: float
) -> tuple[float, bool]:
    try:
        answer = await client.post(url, json=body, headers={"Idempotency-Key": f'"{uuid4()}"'})
    except httpx.HTTPError:
        return time.monotonic() - due, False
    return time.monotonic() - due, answer.is_success
