"""The fault switches: how each service is told to misbehave, and the dice it rolls.

The switches are kept in the ledger's file and survive a restart: killing the sandbox in the middle of an
experiment must not quietly end the experiment. A seeded series of dice starts again from its beginning after
a restart.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orders.sandbox.effects import Service
from orders.sandbox.ledger import Ledger
from orders.sandbox.reading import FieldError, FieldReader, read_fields

MAX_DELAY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Faults:
    """How one service misbehaves; the defaults are good behaviour.

    ``error_rate``, ``lost_response_rate``, ``decline_rate`` are shares from 0 to 1; ``*_ms`` are
    milliseconds. An error (503) comes before acting, a lost response after. ``decline_rate`` is decided by
    the idempotency key alone, so a key's answer never changes; it concerns charges and shipments, not refunds
    and cancellations. ``seed`` makes the other dice repeat: the n-th request after setting it always meets
    the same luck.
    """

    error_rate: float = 0.0
    latency_ms: int = 0
    lost_response_rate: float = 0.0
    lost_response_hold_ms: int = 0
    decline_rate: float = 0.0
    down: bool = False
    seed: int | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Faults:
        """Read switches; those not named keep their default. Raises InvalidFieldsError."""
        return cls(**read_fields(body, _READERS, required=False))

    def declines(self, key: str) -> bool:
        """Whether the request with this idempotency key is to be refused for ever."""
        return _position(key) < self.decline_rate


@dataclass(frozen=True, slots=True)
class Luck:
    """What one request meets."""

    fails: bool
    loses_answer: bool


class FaultSwitches:
    """The switches of both services, with their dice."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._faults = {service: Faults() for service in Service} | ledger.read(_load)
        self._dice = {service: _dice(faults) for service, faults in self._faults.items()}

    def __getitem__(self, service: Service) -> Faults:
        return self._faults[service]

    def as_json(self) -> dict[str, dict[str, Any]]:
        """All switches, by service."""
        return {service.value: asdict(faults) for service, faults in self._faults.items()}

    def active(self) -> list[str]:
        """The names of the services that were told to misbehave."""
        return [
            service.value for service, faults in self._faults.items() if faults != Faults(seed=faults.seed)
        ]

    async def put(self, service: Service, faults: Faults) -> None:
        """Replace the switches of ``service`` and start its dice afresh."""
        await self._ledger.write(lambda connection: _save(connection, service, faults))
        self._faults[service] = faults
        self._dice[service] = _dice(faults)

    async def reset(self) -> None:
        """Back to good behaviour."""
        for service in Service:
            await self.put(service, Faults())

    def roll(self, service: Service) -> Luck:
        """Roll the dice for one request: always two throws, so that the series is the same for all rates."""
        faults, dice = self._faults[service], self._dice[service]
        first, second = dice.random(), dice.random()
        return Luck(fails=first < faults.error_rate, loses_answer=second < faults.lost_response_rate)


def _dice(faults: Faults) -> random.Random:
    return random.Random(faults.seed)  # noqa: S311 - repeatable luck is wanted, nothing secret hangs on it


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FieldError("must be a number from 0 to 1")
    return float(value)


def _milliseconds(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_DELAY_MS:
        raise FieldError(f"must be a whole number of milliseconds from 0 to {MAX_DELAY_MS}")
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FieldError("must be true or false")
    return value


def _seed(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | None):
        raise FieldError("must be a whole number, or null for true chance")
    return value


_READERS: Mapping[str, FieldReader] = {
    "error_rate": _share,
    "latency_ms": _milliseconds,
    "lost_response_rate": _share,
    "lost_response_hold_ms": _milliseconds,
    "decline_rate": _share,
    "down": _switch,
    "seed": _seed,
}


def _position(key: str) -> float:
    """Where ``key`` falls between 0 and 1, evenly spread and always the same."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def _load(connection: sqlite3.Connection) -> dict[Service, Faults]:
    rows = connection.execute("SELECT service, settings FROM faults")
    return {Service(row["service"]): Faults.from_json(json.loads(row["settings"])) for row in rows}


def _save(connection: sqlite3.Connection, service: Service, faults: Faults) -> None:
    connection.execute(
        "INSERT INTO faults (service, settings) VALUES (?, ?)"
        " ON CONFLICT (service) DO UPDATE SET settings = excluded.settings",
        (service, json.dumps(asdict(faults))),
    )
