"""The settings, in one place: ``settings.OUTBOX = {"BATCH_SIZE": 500}`` overrides the defaults below."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from outbox.exceptions import InvalidSetting

SHORTEST_RETENTION = 3600.0
"""Seconds. Duplicates of what was just consumed may still be on their way, and people still look at it."""
WAKE_UPS = ("direct", "task", "notify", "thread")
ENFORCE = ("raise", "warn", "off")


@dataclass(frozen=True)
class OutboxSettings:
    """Every option with its default; times are in seconds."""

    DATABASE: str = "default"
    """The database alias whose transactions carry the outbox."""
    TRANSPORT: str = "outbox.transports.celery.CeleryTransport"
    """Dotted path of the transport class that the relay sends through."""
    BATCH_SIZE: int = 1000
    """Rows claimed, sent and settled together."""
    LEASE: float = 30.0
    """How long a relay may hold a claimed batch before others take it back."""
    POLL_INTERVAL: float = 1.0
    """Wait of an idle relay that nobody wakes."""
    DISPATCH_INTERVAL: float = 5.0
    """Interval of the periodic dispatch task."""
    RESCUE_INTERVAL: float = 5.0
    """How often a running relay looks for expired leases and for messages that nobody consumed."""
    RESEND_AFTER: float = 60.0
    """A message that was sent and not consumed for so long is sent again; doubles at each resend."""
    RESEND_CAP: float = 3600.0
    """Longest wait before a resend."""
    MAX_RESENDS: int = 100
    """A message that was sent again so often, and that no consumer ever ended, is Failed. By the times above that is
    after four days: longer than a queue is left alone over a weekend."""
    MAX_ATTEMPTS: int = 8
    """Attempts of a message whose consumer sets no policy of its own."""
    BACKOFF_INITIAL: float = 1.0
    """Wait before the second attempt; doubles at each further one."""
    BACKOFF_CAP: float = 300.0
    """Longest wait between two attempts."""
    MAX_LOST_LEASES: int = 5
    """A message whose consumers died so often in the middle of it is Failed: it may be what kills them."""
    UNKNOWN_TYPE_PATIENCE: float = 300.0
    """How long a message whose type, consumer or version nobody here knows is kept for those who may, such as relays
    and workers that are just being deployed; then it is Failed."""
    BREAKER_CAP: float = 30.0
    """Longest pause of a relay between two tries at a broker that is away."""
    WAKE_UP: tuple[str, ...] = ("task",)
    """What happens after a commit that published: ``task`` (send the dispatch task), ``notify``
    (PostgreSQL NOTIFY, for ``manage.py relay``), ``thread`` (a relay thread in this process). With ``direct`` the
    process that committed sends its messages itself, and uses the other ways only for those that it must leave to a
    relay: give it together with one of them. See :mod:`outbox.relay.courier`."""
    DISPATCH_QUEUE: str = "outbox"
    """Queue of the dispatch task: one that no slow work shares."""
    ENFORCE: str = "warn"
    """What happens to a task that is sent past the outbox, inside a transaction or by an ``on_commit`` hook:
    ``raise``, ``warn`` or ``off``."""
    RETENTION: float = 7 * 24 * 3600.0
    """Age from which consumed and discarded messages are deleted; an hour at least."""
    PRUNE_INTERVAL: float = 30.0
    """How often a little of what is old enough is deleted."""
    SAGA_SWEEP_INTERVAL: float = 5.0
    """How often the watchdog looks for saga steps whose lease ran out."""
    SAGA_RETENTION: float = 90 * 24 * 3600.0
    """Age since a saga's end from which its steps and history are deleted. The saga stays, with its outcome."""
    PERSONAL_FIELDS: tuple[str, ...] = ()
    """Names of members of payloads, results and contexts that are personal data: hidden in the console from users
    without the permission ``outbox.view_personal``. See :mod:`outbox.redaction`."""

    def problems(self) -> list[str]:
        """Values that cannot work, as sentences; empty when all is well."""
        found = [
            f"OUTBOX[{f.name!r}] must be greater than zero, not {getattr(self, f.name)!r}."
            for f in fields(self)
            if isinstance(getattr(self, f.name), int | float) and getattr(self, f.name) <= 0
        ]
        found += [
            f"OUTBOX['WAKE_UP'] knows {', '.join(WAKE_UPS)}; not {w!r}."
            for w in self.WAKE_UP
            if w not in WAKE_UPS
        ]
        if self.RETENTION < SHORTEST_RETENTION:
            found.append(
                f"OUTBOX['RETENTION'] is {self.RETENTION!r}: keep messages for {SHORTEST_RETENTION:.0f} s at least."
            )
        if self.ENFORCE not in ENFORCE:
            found.append(f"OUTBOX['ENFORCE'] knows {', '.join(ENFORCE)}; not {self.ENFORCE!r}.")
        if self.DATABASE not in settings.DATABASES:
            found.append(f"OUTBOX['DATABASE'] is {self.DATABASE!r}, which settings.DATABASES does not have.")
        return found


def build(options: Mapping[str, Any]) -> OutboxSettings:
    """Settings from a dict of options.

    Raises:
        InvalidSetting: an option is unknown; the message suggests the one that was probably meant.
    """
    known = {f.name for f in fields(OutboxSettings)}
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(sorted(known))}."
            raise InvalidSetting(f"Unknown option OUTBOX[{name!r}].{hint}")
    return OutboxSettings(**options)


@cache
def conf() -> OutboxSettings:
    """The settings in force."""
    return build(getattr(settings, "OUTBOX", {}))


def _forget(*, setting: str, **_: object) -> None:
    if setting == "OUTBOX":
        conf.cache_clear()


setting_changed.connect(_forget)
