"""API keys: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets

from django.contrib.auth.models import AbstractBaseUser, User

from orders.exceptions import OrdersError
from orders.models import ApiKey
from orders.services.rows import columns_of, made_from
from outbox.api import fetch

PREFIX = "tdk_"
RANDOM_BYTES = 32
SHOWN_CHARACTERS = 12
SHORTEST = 36
"""Characters of a key that somebody brings along: the prefix, and as much chance as 24 random bytes have."""

CUSTOMER = f"""
SELECT {columns_of(User, "customer")} FROM orders_apikey k JOIN auth_user customer ON customer.id = k.customer_id
WHERE k.key_hash = %s AND k.revoked_at IS NULL AND customer.is_active
"""  # noqa: S608  (our columns)


class UnusableKey(OrdersError):
    """A given key cannot be accepted; the message says why, and never the key."""


def issue(customer: AbstractBaseUser, name: str) -> str:
    """Make a new key for a customer and return it: the only time that it can be read.

    Args:
        customer: whose orders it opens.
        name: what it is for, at most 80 characters.
    """
    secret = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    _keep(customer, name, secret)
    return secret


def ensure(customer: AbstractBaseUser, name: str, secret: str) -> bool:
    """Make sure that the customer has this very key. Returns whether it is new.

    Raises:
        UnusableKey: it has the wrong form, is too short, was revoked, or belongs to somebody else.
    """
    if (
        not secret.startswith(PREFIX)
        or len(secret) < SHORTEST
        or not secret.isascii()
        or not secret.isprintable()
    ):
        raise UnusableKey(
            f"An API key is {PREFIX} followed by at least {SHORTEST - len(PREFIX)} random ASCII characters."
        )
    known = ApiKey.objects.filter(key_hash=_hash(secret)).first()
    if known is None:
        _keep(customer, name, secret)
        return True
    if known.customer_id != customer.pk:
        raise UnusableKey("This API key belongs to another customer.")
    if known.revoked_at is not None:
        raise UnusableKey("This API key was revoked. Use another one.")
    return False


def customer_of(secret: str) -> AbstractBaseUser | None:
    """Whose key this is; ``None`` when it is unknown, revoked, or its customer is not active any more."""
    rows = fetch(CUSTOMER, [_hash(secret)], prepared=True)
    return made_from(User, rows[0]) if rows else None


def _keep(customer: AbstractBaseUser, name: str, secret: str) -> None:
    ApiKey.objects.create(
        customer_id=customer.pk, name=name, prefix=secret[:SHOWN_CHARACTERS], key_hash=_hash(secret)
    )


def _hash(secret: str) -> str:
    """Unsalted on purpose: the secret is long and random, and must be found by its hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
