"""What an operator tells all relays at run time: pause, resume, limit.

Relays obey within about a second (:mod:`outbox.relay.gate`). What is with the broker already is not called back.
Every function changes one row of ``outbox_pause`` or ``outbox_ratelimit``, which says who did it and why; then the
messages follow in short transactions. Called inside a transaction, everything happens in that one.
"""

from __future__ import annotations

import difflib
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext as _

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
"""Messages let go by whoever ends a pause or changes a limit, about; the relays do the rest."""
LONGEST = 200
"""Characters of a type, a queue or a key."""


class LetGo(NamedTuple):
    """Messages that a pause had held back, or a limit put off."""

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
    _require(
        scope in Pause.Scope.values,
        _("There is no scope '%(scope)s': use type, queue or key.") % {"scope": scope},
    )
    _require_name(scope, value)
    _require(bool(reason.strip()), _("Say why: the reason is shown to whoever wonders why nothing is sent."))
    said = {"reason": reason.strip(), "paused_by": name_of(by)}
    with atomic():
        found, is_new = _pauses().get_or_create(scope=scope, value=value, defaults=said)
        already = {"pause": found, "who": found.paused_by or _("somebody"), "reason": found.reason}
        _require(is_new, _("The %(pause)s is paused already, by %(who)s: %(reason)s") % already)
        note(by, [found], ADDED, f"Paused: {reason.strip()}")
    return found


def resume(scope: str, value: str, *, by: Actor = "") -> LetGo:
    """End a pause: what waited for it is due again. Returns how many messages are so now, and how many will be.

    The first ``AT_ONCE`` are let go here, the oldest first. The others the relays let go, which look every minute
    for what waits for a pause that is gone; so a request ends soon, and a crash in the middle is healed.

    Raises:
        OperationRefused: it is not paused; the message names what is.
    """
    with atomic():
        found = _pauses().select_for_update().filter(scope=scope, value=value).first()
        if found is None:
            named = {"pause": Pause(scope=scope, value=value), "paused": _paused()}
            raise OperationRefused(_("The %(pause)s is not paused. Paused now: %(paused)s.") % named)
        ended = found.pk
        note(by, [found], REMOVED, f"Resumed; it was paused because: {found.reason}")
        found.delete()
    held = _messages().filter(waits_for=ended)
    return _let_go(held, waits_for=None)


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

    What an earlier limit had put off lines up anew: the first ``AT_ONCE`` at once, the others within about a minute.
    """
    _require_name("type", type_)
    _require(math.isfinite(per_second) and per_second > 0, _("The rate must be a number above 0."))
    _require(bool(reason.strip()), _("Say why: the reason is kept with the limit."))
    burst = max(1, math.ceil(per_second)) if burst is None else burst
    _require(1 <= burst < 2**31, _("The burst must be 1 or more: with less, nothing could ever be sent."))
    times = dict.fromkeys(("refilled_at", "last_slot_at", "last_return_at", "set_at"), Now())
    said = {"per_second": per_second, "burst": burst, "reason": reason.strip(), "set_by": name_of(by)}
    with atomic():
        limit, is_new = _limits().update_or_create(type=type_, defaults={**said, "tokens": burst, **times})
        limit.refresh_from_db()
        what = f"Limited to {per_second:g} per second, {burst} at once: {reason.strip()}"
        note(by, [limit], ADDED if is_new else CHANGED, what)
    _let_go(_put_off(type_), next_attempt_at=Now())  # slots of an earlier limit have the wrong distance
    return limit


def lift_limit(type_: str, *, by: Actor = "") -> LetGo:
    """End a rate limit: what it had put off is due. Returns how many messages are so now, and how many will be.

    As with :func:`resume`, the first ``AT_ONCE`` are let go here and the others by the relays.

    Raises:
        OperationRefused: there is no limit, and nothing that one had put off; so it can be called again after a crash.
    """
    with atomic():
        found = _limits().select_for_update().filter(pk=type_).first()
        if found is not None:
            note(by, [found], REMOVED, f"Limit lifted; it was: {found.per_second:g} per second")
            found.delete()
    recalled = _let_go(_put_off(type_), next_attempt_at=Now())
    if found is None and not recalled.freed:
        limited = ", ".join(_limits().values_list("type", flat=True)) or _("nothing")
        named = {"type": type_, "limited": limited}
        raise OperationRefused(_("%(type)s has no limit. Limited now: %(limited)s.") % named)
    return recalled


def recall(limit: int) -> int:
    """Make due what has a slot of a limit that was lifted or changed since. For relays: see :func:`lift_limit`.

    Such a slot lies beyond the end of its type's line, by more than the ``LEASE`` for which a relay may have the
    message in its hands between the two.

    Args:
        limit: how many messages at most.

    Returns:
        How many became due.
    """
    line = _limits().filter(type=OuterRef("type"))
    ends = Greatest("last_slot_at", "last_return_at") + timedelta(seconds=conf().LEASE)
    within = line.annotate(ends=ends).filter(ends__gte=OuterRef("next_attempt_at"))
    with atomic():
        found = _put_off().filter(~Exists(within)).select_for_update(skip_locked=True)
        ids = list(found.values_list("id", flat=True)[:limit])
        return _put_off().filter(id__in=ids).update(next_attempt_at=Now())


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
    hint = _(" Did you mean '%(name)s'?") if close else _(" Known: %(name)s.")
    said = _("Nothing here knows the %(scope)s '%(value)s'.") % {"scope": _(scope), "value": value}
    return said + hint % {"name": close[0] if close else ", ".join(names)}


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


def _let_go(rows: QuerySet[Message], **values: Any) -> LetGo:
    """Change rows so that they are due, ``AT_ONCE`` of them or a few more; the relays will do so with the others."""
    freed = _in_batches(rows, at_most=AT_ONCE, **values)
    wake_on_commit()
    return LetGo(freed, left=rows.count() if freed >= AT_ONCE else 0)


def _put_off(type_: str = "") -> QuerySet[Message]:
    """Messages that wait for their slot in the line of a limit: those of a type, or all."""
    waiting = _messages().filter(status=Status.PENDING, waits_for=None, put_off_until__isnull=False)
    found = waiting.filter(put_off_until=F("next_attempt_at"), next_attempt_at__gt=Now())
    return found.filter(type=type_) if type_ else found


def _paused() -> str:
    names = [str(found) for found in _pauses().order_by("scope", "value")[:20]]
    return ", ".join(names) or _("nothing")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise OperationRefused(otherwise)


def _require_name(scope: str, value: str) -> None:
    _require(bool(value), _("Name the %(scope)s.") % {"scope": _(scope)})
    long = _("The name of a %(scope)s has at most %(longest)s characters.")
    _require(len(value) <= LONGEST, long % {"scope": _(scope), "longest": LONGEST})


def _pauses() -> QuerySet[Pause]:
    return Pause.objects.using(conf().DATABASE)


def _limits() -> QuerySet[RateLimit]:
    return RateLimit.objects.using(conf().DATABASE)


def _messages() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE)
