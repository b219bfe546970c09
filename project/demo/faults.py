"""Faults on request: what `--fail` means, and how the sandbox is told."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from orders.sandbox.client import SandboxClient, SandboxError

SERVICES = ("payment", "shipping")
FORM = "write SERVICE=AMOUNT[:KIND], such as payment=0.5, shipping=0.2:permanent, payment=200ms:latency"
LONGEST_LATENCY = 60.0  # seconds; the sandbox's own limit
LONGEST_DOWN = 3600.0  # seconds


class Kind(StrEnum):
    """How a service misbehaves."""

    ERROR = "error"
    PERMANENT = "permanent"
    LOST = "lost"
    LATENCY = "latency"
    DOWN = "down"


LIMITS = {Kind.LATENCY: LONGEST_LATENCY, Kind.DOWN: LONGEST_DOWN}
RATES = {Kind.ERROR: "error_rate", Kind.PERMANENT: "decline_rate", Kind.LOST: "lost_response_rate"}


@dataclass(frozen=True)
class Fault:
    """A service's misbehaviour. `amount`: a share of the requests from 0 to 1, or seconds (latency, down)."""

    service: str
    kind: Kind
    amount: float

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `SERVICE=AMOUNT[:KIND]`. Raises ValueError with advice."""
        service, equals, rest = text.partition("=")
        amount, colon, kind = rest.partition(":")
        if not (equals and amount) or (colon and not kind):
            raise ValueError(f"{text!r} is not a fault: {FORM}")
        if service not in SERVICES:
            raise ValueError(f"there is no service {service!r} to fail: use {' or '.join(SERVICES)}")
        known = _kind(kind or Kind.ERROR)
        return cls(service, known, _seconds(amount, known) if known in LIMITS else _share(amount, known))

    def switches(self) -> dict[str, float | bool]:
        """The sandbox's switches for it."""
        if self.kind is Kind.LATENCY:
            return {"latency_ms": round(self.amount * 1000)}
        if self.kind is Kind.DOWN:
            return {"down": True}
        return {RATES[self.kind]: self.amount}


class FaultInjection:
    """Makes the services fail for the duration of a block, and behave again at its end.

    Only the services named in `faults` are touched. Not guaranteed: that they behave again when this process
    is killed or the sandbox is away at the end (then a warning says so); the switches survive a restart.
    """

    def __init__(
        self, sandbox: SandboxClient, faults: Iterable[Fault], seed: int | None, warn: Callable[[str], None]
    ) -> None:
        """`seed` makes the dice repeat; `warn` tells the person what is surprising or could not be undone."""
        self._sandbox = sandbox
        self._faults = list(faults)
        self._seed = seed
        self._warn = warn
        self._down_until: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._tell_of_others()
        now = time.monotonic()
        self._down_until = {f.service: now + f.amount for f in self._faults if f.kind is Kind.DOWN}
        try:
            for service in self._services():
                self._put(service)
        except BaseException:
            self._reset()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reset()

    def lift_due(self) -> None:
        """Bring up the services whose time to be down is over. Raises SandboxError when that is refused."""
        for service, until in list(self._down_until.items()):
            if time.monotonic() >= until:
                del self._down_until[service]
                self._put(service)

    def _tell_of_others(self) -> None:
        """Faults that somebody else has set explain results that would surprise."""
        for service, switches in self._sandbox.faults().items():
            on = [name for name, value in switches.items() if value and name != "seed"]
            if on and service not in self._services():
                self._warn(f"Fault switches of {service} are on since before, and stay so: {', '.join(on)}.")

    def _services(self) -> list[str]:
        return list(dict.fromkeys(fault.service for fault in self._faults))

    def _put(self, service: str) -> None:
        """Set all switches of the service at once: the sandbox turns off those that are not named."""
        switches: dict[str, Any] = {"seed": self._seed}
        for fault in self._faults:
            if fault.service == service and (fault.kind is not Kind.DOWN or service in self._down_until):
                switches |= fault.switches()
        self._sandbox.set_faults(service, **switches)

    def _reset(self) -> None:
        for service in self._services():
            try:
                self._sandbox.set_faults(service)
            except SandboxError as error:
                self._warn(f"The fault switches of {service} may still be on. {error}")


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise ValueError(f"there is no kind of fault {text!r}: use {', '.join(Kind)}") from None


def _share(text: str, kind: Kind) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is not a share of the requests for {kind}: give 0 to 1, such as 0.5")
    return share


def _seconds(text: str, kind: Kind) -> float:
    """Read a time such as `200ms` or `1.5s`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)", text)
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0
    if not 0 < seconds <= LIMITS[kind]:
        limit = f"at most {LIMITS[kind]:g}s"
        raise ValueError(
            f"{text!r} is not a time for {kind}: give it with its unit, such as 200ms or 20s, {limit}"
        )
    return seconds
