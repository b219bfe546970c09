"""The figures of :mod:`outbox.overview`, each with what it means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from outbox.storage import HorizonHolder, TableSize

CAP = 20_000
"""Rows of a kind that are counted one by one."""
RATE_CAP = 5_000
"""Messages from whose times a rate is taken, at most."""
WINDOW = 60
"""Seconds over which rates are measured."""


@dataclass(frozen=True)
class Tally:
    """How many messages of a type are in a state.

    ``state`` is one of ``due`` (Pending, and a relay could take it now), ``later`` (Pending: scheduled, waiting for its
    next attempt, or put off by a rate limit), ``waiting`` (Pending: for a pause, or for the one before it in its key),
    ``processing``, ``sent`` (and not consumed), ``failed``, ``discarded``, ``consumed``.
    """

    type: str
    state: str
    count: int
    exact: bool


@dataclass(frozen=True)
class Rates:
    """Messages in a second, over the last :data:`WINDOW` seconds; less than that where they exceed :data:`RATE_CAP`."""

    published: float
    consumed: float
    failed_attempts: float


@dataclass(frozen=True)
class OldMessage:
    """A message that has been in its state for long.

    ``since``: when it was due (``due``), when its lease or its wait for a consumer ends (``processing``, ``sent``),
    when it was published (``failed``).
    """

    id: UUID
    type: str
    state: str
    since: datetime
    seconds: float
    """Of age; below zero while a lease still runs."""
    last_error: str


@dataclass(frozen=True)
class Holder:
    """A relay or a worker that has messages in its hands. ``lease_ends`` is the earliest of its leases."""

    name: str
    count: int
    exact: bool
    lease_ends: datetime
    lease_seconds: float


@dataclass(frozen=True)
class Paused:
    """A pause, and how many messages wait for it."""

    scope: str
    value: str
    reason: str
    by: str
    since: datetime
    waiting: int
    exact: bool


@dataclass(frozen=True)
class Limited:
    """A rate limit, and how long its line is."""

    type: str
    per_second: float
    burst: int
    reason: str
    by: str
    line: int
    line_seconds: float


@dataclass(frozen=True)
class Overview:
    """All of it."""

    at: datetime
    lag_seconds: float
    rates: Rates
    tallies: list[Tally]
    oldest: list[OldMessage]
    holders: list[Holder]
    pauses: list[Paused]
    limits: list[Limited]
    tables: list[TableSize]
    horizon: list[HorizonHolder]
