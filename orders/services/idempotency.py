"""A request that is sent again is answered again, not done again.

The record of an answer is written in the transaction of its effect, so neither exists without the other.
Two requests with one key at the same time are kept apart by an advisory lock, which ends with that
transaction, whatever happens. The lock and the look for a kept answer are one statement, which sees the database as it
was before it had the lock; where the first request ended just then, the unique key of the records refuses the second
one's, and it starts again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from orders.exceptions import OrdersError
from outbox.api import execute, fetch

LOOK = """
SELECT pg_try_advisory_xact_lock(%s), kept.fingerprint, kept.status_code, kept.body::text, kept.location
FROM (VALUES (1)) one LEFT JOIN orders_idempotencyrecord kept ON kept.customer_id = %s AND kept.key = %s
"""

KEEP = """
INSERT INTO orders_idempotencyrecord (customer_id, key, fingerprint, status_code, body, location)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (customer_id, key) DO NOTHING
"""


class KeyReused(OrdersError):
    """The key belongs to another request: the first one's answer would be the wrong one."""


class StillRunning(OrdersError):
    """The first request with this key has not been answered yet."""


@dataclass(frozen=True)
class Answer:
    """What a request was answered.

    Args:
        status_code: HTTP status.
        body: a JSON object.
        location: address of what was made; empty when there is none.
        replayed: it was given before, and nothing was done now.
    """

    status_code: int
    body: dict[str, Any]
    location: str = ""
    replayed: bool = False


def answer_once(
    customer: AbstractBaseUser,
    key: str,
    payload: Mapping[str, Any],
    act: Callable[[], Answer],
    *,
    wait: bool = False,
) -> Answer:
    """Do ``act`` and keep its answer under the customer's ``key``, in one transaction; or give the kept one.

    Args:
        customer: keys of different customers have nothing to do with each other.
        key: at most 255 characters, chosen by the client.
        payload: what the request asks for, as JSON values: the same key must come with the same.
        act: has its effect in the database only, in the transaction that is open when it is called.
        wait: wait for a first request that is still running, instead of refusing the second.

    Raises:
        KeyReused: the key came with another payload before.
        StillRunning: the first request with this key is at work right now (never with ``wait``).
        Exception: whatever ``act`` raises; then nothing is kept, and the key is free again.
    """
    fingerprint = _fingerprint(payload)
    while True:
        with transaction.atomic():
            locked, kept = _look(customer, key, wait=wait)
            if kept is not None:  # then whoever has the lock replays it, too
                return _replay(kept, fingerprint)
            if not locked:
                raise StillRunning(
                    "The first request with this key is still being worked on. Try again in a moment."
                )
            answer = act()
            if _keep(customer, key, fingerprint, answer):
                return answer
            transaction.set_rollback(True)  # another one was answered just before: what we did is undone


def _look(customer: AbstractBaseUser, key: str, *, wait: bool) -> tuple[bool, tuple[Any, ...] | None]:
    """Hold the key until the transaction ends; whether that worked, and the answer that is kept, if any."""
    digest = hashlib.sha256(f"idempotency:{customer.pk}:{key}".encode()).digest()
    number = int.from_bytes(digest[:8], signed=True)
    if wait:
        fetch("SELECT pg_advisory_xact_lock(%s)", [number], prepared=True)
    ((locked, *kept),) = fetch(LOOK, [number, customer.pk, key], prepared=True)
    return locked, tuple(kept) if kept[0] is not None else None


def _keep(customer: AbstractBaseUser, key: str, fingerprint: str, answer: Answer) -> bool:
    """Write the answer down; ``False`` when there is one for the key."""
    values = [customer.pk, key, fingerprint, answer.status_code, json.dumps(answer.body), answer.location]
    return execute(KEEP, values, prepared=True) == 1


def _fingerprint(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _replay(kept: tuple[Any, ...], fingerprint: str) -> Answer:
    of, status_code, body, location = kept
    if of != fingerprint:
        raise KeyReused("This key was used for another request before. Use a new key for a new request.")
    return Answer(status_code, json.loads(body), location, replayed=True)
