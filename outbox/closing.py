"""Messages that are to run no more: revoked, or expired before a worker took them up.

Each is closed where people see it: Failed, closed, with the reason. Celery is told as if a worker had discarded it:
the result is REVOKED, and a chord that waits for it fails.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from celery import current_app
from celery.app.task import Context
from celery.utils.time import maybe_iso8601, maybe_make_aware
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from outbox.capture import row_id
from outbox.claims import Claim, Claimed, free
from outbox.conf import conf
from outbox.database import DATABASE_AWAY, atomic
from outbox.models import Message, Status
from outbox.outcomes import keeps_results_here
from outbox.relay.wakeup import wake_on_commit

logger = logging.getLogger(__name__)

EXPIRED = "Expired before it was sent."


def close(task_ids: Iterable[str | UUID], reason: str) -> set[str]:
    """Close messages that no worker has taken up, in the caller's transaction. Copies on their way do nothing.

    Args:
        task_ids: of messages; for a task, Celery's id of it.
        reason: kept with them, for people to read.

    Returns:
        The ids of those that it closed. The others are being worked on, are over, or are not known.
    """
    names = {row_id(str(id_)): str(id_) for id_ in task_ids}
    messages = Message.objects.using(conf().DATABASE).filter(
        id__in=names, consumed_at=None, discarded_at=None, started_at=None
    )
    with atomic():
        # A claim holds a waiting row for a moment only. A row that is sent may be held by a consumer, for as long as it
        # works: that one is left out.
        waiting = _close(messages.filter(status=Status.PENDING).select_for_update(), reason)
        on_their_way = messages.filter(status__in=[Status.PROCESSING, Status.SENT])
        others = _close(on_their_way.select_for_update(skip_locked=True), reason)
        _tell_celery([*waiting, *others], reason)
    return {names[message.id] for message in [*waiting, *others]}


def close_delivery(message_id: UUID, attempt: int, reason: str, *, killed: bool) -> bool:
    """Close the message of a delivery that a worker threw away. Celery itself has told everybody else.

    Only while that attempt is the current one and no other copy of it has been taken up: the discarded one may be a
    duplicate. Never waits for a consumer that holds the row.

    Args:
        message_id: of the delivery.
        attempt: of the delivery.
        reason: kept with it, for people to read.
        killed: it was at work, and was ended: then its own lease is no hindrance, and the end of its transaction is
            waited for.
    """
    current = Message.objects.using(conf().DATABASE).filter(
        id=message_id,
        attempts=attempt,
        status__in=[Status.PROCESSING, Status.SENT],
        consumed_at=None,
    )
    if killed:
        found = current.select_for_update()
    else:
        found = current.filter(started_at=None).select_for_update(skip_locked=True)
    with atomic():
        return bool(_close(found, reason))


def close_expired(claim: Claim) -> set[UUID]:
    """Close those of a claim that have expired, by the database's clock, instead of sending them. Returns their ids."""
    candidates = [message for message in claim.messages if '"expires": "' in message.headers]
    if not candidates:
        return set()
    messages = Message.objects.using(conf().DATABASE)
    now = messages.filter(id__in=[message.id for message in candidates]).values_list(Now(), flat=True).first()
    expired = [message.id for message in candidates if now and _has_expired(message, now)]
    held = messages.filter(id__in=expired, lock_id=claim.lock_id, status=Status.PROCESSING)
    with atomic():
        closed = _close(held.select_for_update(), EXPIRED)
        _tell_celery(closed, EXPIRED)
    return {message.id for message in closed}


def _close(messages: QuerySet[Message], reason: str) -> list[Message]:
    closed = list(messages.order_by("id"))
    if not closed:
        return []
    ids = [message.id for message in closed]
    Message.objects.using(conf().DATABASE).filter(id__in=ids).update(
        status=Status.FAILED,
        discarded_at=Now(),
        last_error=reason,
        lock_id=None,
        locked_until=None,
        waits_for=None,
        schedule_key=None,
    )
    if any(message.key for message in closed) and free(ids):
        wake_on_commit()
    return closed


def _tell_celery(messages: Sequence[Message], reason: str) -> None:
    """Each by itself: a row that somebody wrote by hand, or a result backend that is away, stops no other."""
    for message in messages:
        try:
            with atomic():
                _tell_celery_of(message, reason)
        except DATABASE_AWAY:
            raise  # with it, all of the transaction is gone
        except Exception:
            logger.exception("%s was closed, but Celery could not be told: %s", message.id, reason)


def _tell_celery_of(message: Message, reason: str) -> None:
    """At once where the results are in this database, else after the commit."""
    if "celery" not in message.headers:
        return
    task = current_app.tasks.get(message.consumer)
    backend = (task or current_app).backend
    headers = message.headers["celery"]["headers"]
    chord = (message.payload.get("embed") or {}).get("chord")
    request = Context(id=headers.get("id", str(message.id)), group=headers.get("group"), chord=chord)
    tell = partial(
        backend.mark_as_revoked,
        request.id,
        reason,
        request=request,
        store_result=not headers.get("ignore_result"),
    )
    if keeps_results_here(backend):
        tell()
    else:
        transaction.on_commit(tell, using=conf().DATABASE, robust=True)


def _has_expired(message: Claimed, now: datetime) -> bool:
    try:
        text = json.loads(message.headers)["celery"]["headers"]["expires"]
        expires: datetime | None = maybe_make_aware(maybe_iso8601(text), current_app.timezone)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return False  # no expiry of Celery's: somebody's own header
    return expires is not None and expires <= now
