"""What an operator tells all relays at run time: pause, resume, limit.

Relays obey within about a second (:mod:`outbox.relay.gate`). What is with the broker already is not called back.
Every function changes one row of ``outbox_pause`` or ``outbox_ratelimit``, which says who did it and why; then the
messages follow in short transactions. Called inside a transaction, everything happens in that one.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from outbox import known
from outbox.conf import conf
from outbox.database import atomic
from outbox.exceptions import OperationRefused
from outbox.journal import ADDED, CHANGED, REMOVED, name_of, note
from outbox.models import Message, Pause, RateLimit, Status
from outbox.relay.wakeup import wake_on_commit

if TYPE_CHECKING:
    from outbox.journal import Actor

BATCH = 1000
"""Messages let go in one transaction."""
AT_ONCE = 2000
"""Messages let go by whoever ends a pause, about; the relays do the rest."""
LONGEST = 200
"""Characters of a type, a queue or a key."""


class Resumed(NamedTuple):
    """Messages that a pause had held back."""

    freed: int
    """Due again."""
    left: int
    """Let go by the relays, within about a minute."""


def pause(scope: str, value: str, reason: str, *, by: Actor = "") -> Pause:
    """Send no more messages of a type, a queue or a key until :func:`resume`.

    Messages go on being published; they wait. A queue's pause also holds those that go there by their consumer's own
    settings. A key's pause holds the messages of that key of every consumer.

    Args:
        scope: ``type``, ``queue`` or ``key``.
        value: its name. A name that nobody knows is taken (see :func:`doubts`).
        reason: why; kept, and shown to whoever wonders why nothing is sent.
        by: who; a user's action is also kept in the admin's history.

    Raises:
        OperationRefused: the scope is unknown, a text is missing or too long, or it is paused already.

    Not guaranteed: that nothing is sent from this moment on. A relay that has just looked goes on for a second, and
    what was sent before is consumed.
    """
    _require(scope in Pause.Scope.values, f"There is no scope {scope!r}: use type, queue or key.")
    _require_name(scope, value)
    _require(bool(reason.strip()), "Say why: the reason is shown to whoever wonders why nothing is sent.")
    said = {"reason": reason.strip(), "paused_by": name_of(by)}
    with atomic():
        found, is_new = _pauses().get_or_create(scope=scope, value=value, defaults=said)
        _require(is_new, f"The {found} is paused already, by {found.paused_by or 'somebody'}: {found.reason}")
        note(by, [found], ADDED, f"Paused: {reason.strip()}")
    return found


def resume(scope: str, value: str, *, by: Actor = "") -> Resumed:
    """End a pause: what waited for it is due again. Returns how many messages are so now, and how many will be.

    The first ``AT_ONCE`` are let go here, the oldest first. The others the relays let go, which look every minute
    for what waits for a pause that is gone; so a request ends soon, and a crash in the middle is healed.

    Raises:
        OperationRefused: it is not paused; the message names what is.
    """
    with atomic():
        found = _pauses().select_for_update().filter(scope=scope, value=value).first()
        if found is None:
            raise OperationRefused(f"The {scope} {value} is not paused. {_paused()}")
        ended = found.pk
        note(by, [found], REMOVED, f"Resumed; it was paused because: {found.reason}")
        found.delete()
    held = _messages().filter(waits_for=ended)
    freed = _in_batches(held, at_most=AT_ONCE, waits_for=None)
    wake_on_commit()
    return Resumed(freed, left=held.count() if freed >= AT_ONCE else 0)


def set_limit(
    type_: str, per_second: float, reason: str, *, burst: int | None = None, by: Actor = ""
) -> RateLimit:
    """Send at most so many messages of a type in a second, by all relays together; replaces an earlier limit.

    In any ``t`` seconds at most ``per_second * t + burst`` are sent. The others wait in line, in the order of their
    age.

    Args:
        type_: the messages' type.
        per_second: above 0; 0.1 is one in ten seconds.
        reason: why; kept with the limit.
        burst: how many may go at once after a quiet time, at least 1; by default a second's worth. A relay that looks
            at its messages less often than the bucket fills cannot reach the rate: see ``docs/operations.md``.
        by: who; a user's action is also kept in the admin's history.

    Raises:
        OperationRefused: a number cannot be, or a text is missing or too long.
    """
    _require_name("type", type_)
    _require(math.isfinite(per_second) and per_second > 0, "The rate must be a number above 0.")
    _require(bool(reason.strip()), "Say why: the reason is kept with the limit.")
    burst = max(1, math.ceil(per_second)) if burst is None else burst
    _require(1 <= burst < 2**31, "The burst must be 1 or more: with less, nothing could ever be sent.")
    times = dict.fromkeys(("refilled_at", "last_slot_at", "last_return_at", "set_at"), Now())
    said = {"per_second": per_second, "burst": burst, "reason": reason.strip(), "set_by": name_of(by)}
    with atomic():
        limit, is_new = _limits().update_or_create(type=type_, defaults={**said, "tokens": burst, **times})
        limit.refresh_from_db()
        what = f"Limited to {per_second:g} per second, {burst} at once: {reason.strip()}"
        note(by, [limit], ADDED if is_new else CHANGED, what)
    _recall(type_)  # slots of an earlier limit have the wrong distance
    return limit


def lift_limit(type_: str, *, by: Actor = "") -> int:
    """End a rate limit: what it had put off is due at once. Returns how many messages that were.

    Raises:
        OperationRefused: there is no limit, and nothing that one had put off; so it can be called again after a crash.
    """
    with atomic():
        found = _limits().select_for_update().filter(pk=type_).first()
        if found is not None:
            note(by, [found], REMOVED, f"Limit lifted; it was: {found.per_second:g} per second")
            found.delete()
    recalled = _recall(type_)
    if found is None and not recalled:
        limited = ", ".join(_limits().values_list("type", flat=True)) or "nothing"
        raise OperationRefused(f"{type_} has no limit. Limited now: {limited}.")
    return recalled


def doubts(scope: str, value: str) -> str:
    """What makes one doubt that such messages exist, with the name that was probably meant; empty when nothing does.

    Types and queues are compared with those that this process knows. Anything may be a key.
    """
    if scope == Pause.Scope.KEY:
        return ""
    names = known.types() if scope == Pause.Scope.TYPE else known.queues()
    if value in names:
        return ""
    close = difflib.get_close_matches(value, list(names), n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(names)}."
    return f"Nothing here knows the {scope} {value!r}.{hint}"


def _in_batches(rows: QuerySet[Message], at_most: float = math.inf, **values: Any) -> int:
    """Change rows of a kind which the change ends. Those that somebody holds right now are passed over."""
    changed = 0
    while True:
        with atomic():
            some = rows.select_for_update(skip_locked=True).order_by("priority", "next_attempt_at", "id")
            ids: list[UUID] = list(some.values_list("id", flat=True)[:BATCH])
            changed += rows.filter(id__in=ids).update(**values) if ids else 0
        if len(ids) < BATCH or changed >= at_most:
            return changed


def _recall(type_: str) -> int:
    """Make due what a limit had put off."""
    at_its_slot = {"put_off_until": F("next_attempt_at")}
    put_off = _messages().filter(type=type_, status=Status.PENDING, waits_for=None, **at_its_slot)
    recalled = _in_batches(put_off.filter(next_attempt_at__gt=Now()), next_attempt_at=Now())
    wake_on_commit()
    return recalled


def _paused() -> str:
    names = [str(found) for found in _pauses().order_by("scope", "value")[:20]]
    return f"Paused now: {', '.join(names) or 'nothing'}."


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise OperationRefused(otherwise)


def _require_name(scope: str, value: str) -> None:
    _require(bool(value), f"Name the {scope}.")
    _require(len(value) <= LONGEST, f"The name of a {scope} has at most {LONGEST} characters.")


def _pauses() -> QuerySet[Pause]:
    return Pause.objects.using(conf().DATABASE)


def _limits() -> QuerySet[RateLimit]:
    return RateLimit.objects.using(conf().DATABASE)


def _messages() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE)
