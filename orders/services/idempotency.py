"""A request that is sent again is answered again, not done again.

The record of an answer is written in the transaction of its effect, so neither exists without the other.
Two requests with one key at the same time are kept apart by an advisory lock, which ends with that
transaction, whatever happens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction

from orders.exceptions import OrdersError
from orders.models import IdempotencyRecord


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
    with transaction.atomic():
        if not _lock(customer, key, wait=wait):
            raise StillRunning(
                "The first request with this key is still being worked on. Try again in a moment."
            )
        fingerprint = _fingerprint(payload)
        kept = IdempotencyRecord.objects.filter(customer_id=customer.pk, key=key).first()
        if kept is not None:
            return _replay(kept, fingerprint)
        answer = act()
        IdempotencyRecord.objects.create(
            customer_id=customer.pk,
            key=key,
            fingerprint=fingerprint,
            status_code=answer.status_code,
            body=answer.body,
            location=answer.location,
        )
    return answer


def _lock(customer: AbstractBaseUser, key: str, *, wait: bool) -> bool:
    """Hold the key until the transaction ends; ``False`` when another transaction has it."""
    digest = hashlib.sha256(f"idempotency:{customer.pk}:{key}".encode()).digest()
    number = int.from_bytes(digest[:8], signed=True)
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])


def _fingerprint(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _replay(kept: IdempotencyRecord, fingerprint: str) -> Answer:
    if kept.fingerprint != fingerprint:
        raise KeyReused("This key was used for another request before. Use a new key for a new request.")
    return Answer(kept.status_code, kept.body, kept.location, replayed=True)
