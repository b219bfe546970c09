"""What an operator does with messages: each is one conditional UPDATE, so that a race changes nothing twice.

By ids, in the caller's transaction; or by a :class:`~outbox.selection.Selection`, in batches of their own.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from outbox import claims
from outbox.conf import conf
from outbox.database import atomic
from outbox.exceptions import OperationRefused
from outbox.journal import CHANGED, enter, name_of
from outbox.models import Message, Status
from outbox.relay.wakeup import wake_on_commit
from outbox.selection import Selection

if TYPE_CHECKING:
    from outbox.journal import Actor

logger = logging.getLogger(__name__)

BATCH = 500
"""Messages changed and noted in one transaction, which should stay short."""


def redrive(ids: Iterable[UUID]) -> int:
    """Failed → Pending, due now, with a fresh set of attempts; the errors of earlier ones stay in the history.

    ``attempts`` goes on counting, so that late deliveries of earlier attempts stay refused. A message with a key takes
    its old place among those of its key that have not been sent.

    Returns how many were Failed and not discarded, and so were changed.
    """
    changed = _failed(ids).update(
        status=Status.PENDING, redriven_after=F("attempts"), resends=0, next_attempt_at=Now()
    )
    if changed:
        wake_on_commit()
    return changed


def discard(ids: Iterable[UUID], reason: str) -> int:
    """Close Failed messages for good, with a reason. Returns how many were open and so were changed.

    What waits behind them in their keys becomes due.

    Raises:
        ValueError: the reason is empty.
    """
    if not reason.strip():
        raise ValueError("Say why the messages are discarded: the reason is kept with them.")
    ids = list(ids)
    with atomic():
        changed = _failed(ids).update(discarded_at=Now(), last_error=f"Discarded: {reason.strip()}")
        if changed and claims.free(ids):
            wake_on_commit()
    return changed


def send_now(ids: Iterable[UUID]) -> int:
    """Make Pending messages due now, whatever their backoff. Returns how many were Pending.

    A message that waits for a pause, or for another one of its key, goes on waiting for that.
    """
    pending = Message.objects.using(conf().DATABASE).filter(id__in=list(ids), status=Status.PENDING)
    changed = pending.update(next_attempt_at=Now())
    if changed:
        wake_on_commit()
    return changed


def redrive_selected(
    selection: Selection,
    *,
    reason: str = "",
    by: Actor = "",
    limit: int | None = None,
    per_second: float | None = None,
) -> Iterator[int]:
    """Redrive what a filter selects, oldest first, each message at most once, relays being woken after each batch.

    Ask ``selection.counts()`` first for what that will be.

    Args:
        selection: which messages.
        reason: why; kept in the history of each.
        by: who; a user's action is also kept in the admin's history.
        limit: how many at most.
        per_second: how many in a second, so that what made them fail is not overrun again.

    Yields:
        How many messages each batch changed, after it has committed. Whoever stops asking stops the work; what is done
        stays done.

    Raises:
        OperationRefused: limit or rate are not above 0.

    Not guaranteed: messages that somebody else changes at this moment are passed over.
    """
    what = f"Redriven: {selection}." + (f" {reason.strip()}" if reason.strip() else "")
    return _in_batches(selection, redrive, what, by, _Pace(limit, per_second))


def discard_selected(
    selection: Selection,
    reason: str,
    *,
    by: Actor = "",
    limit: int | None = None,
    per_second: float | None = None,
) -> Iterator[int]:
    """Discard what a filter selects; arguments and what it yields are those of :func:`redrive_selected`.

    Raises:
        OperationRefused: the reason is empty, or limit or rate are not above 0.
    """
    if not reason.strip():
        raise OperationRefused("Say why the messages are discarded: the reason is kept with them.")
    what = f"Discarded: {selection}. {reason.strip()}"
    return _in_batches(selection, lambda ids: discard(ids, reason), what, by, _Pace(limit, per_second))


class _Pace:
    """How many more, and how quickly."""

    def __init__(self, limit: int | None, per_second: float | None) -> None:
        if limit is not None and limit < 1:
            raise OperationRefused("The limit must be 1 or more.")
        if per_second is not None and not (math.isfinite(per_second) and per_second > 0):
            raise OperationRefused("The rate must be a number above 0.")
        self.left = limit if limit is not None else math.inf
        self.per_second = per_second or math.inf
        self.next_at = time.monotonic()

    def size(self) -> int:
        """Of the next batch, once its time has come. About two batches a second, so that a rate is a steady one."""
        if self.left and (ahead := self.next_at - time.monotonic()) > 0:
            time.sleep(ahead)
        return int(min(BATCH, self.left, max(1, self.per_second / 2)))

    def took(self, count: int) -> None:
        """So many were changed just now."""
        self.left -= count
        self.next_at = max(self.next_at, time.monotonic() - 1) + count / self.per_second


def _in_batches(
    selection: Selection, change: Callable[[Sequence[UUID]], int], what: str, by: Actor, pace: _Pace
) -> Iterator[int]:
    last: UUID | None = None
    total = 0
    try:
        while size := pace.size():
            rows = selection.rows().order_by("id").only("id", "type")
            with atomic():
                ahead = rows.filter(id__gt=last) if last else rows
                held = list(ahead.select_for_update(skip_locked=True)[:size])
                change([message.id for message in held])
                enter(by, held, CHANGED, what)
            if not held:
                return
            last = held[-1].id
            pace.took(len(held))
            total += len(held)
            yield len(held)
    finally:
        logger.info("%s (%s messages, by %s)", what, total, name_of(by) or "nobody named")


def _failed(ids: Iterable[UUID]) -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE).filter(
        id__in=list(ids), status=Status.FAILED, discarded_at__isnull=True
    )
