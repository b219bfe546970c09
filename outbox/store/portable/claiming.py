"""The relay's writes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from django.db.models import Exists, F, Q, QuerySet, Subquery, Value
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.database import atomic
from outbox.models import Attempt, Message, Pause, Status
from outbox.store.base import Store
from outbox.store.portable.rows import DUE_AGAIN, FREE, ON_ITS_WAY, OVER, REFUND, later, locked, rows
from outbox.store.records import Claim, Claimed, Failure, Floors, Unsettled


class Claiming(Store):
    """See :class:`outbox.store.base.Store`."""

    def claim(self, limit: int, by: str, lease: float, floors: Floors) -> Claim:  # noqa: ARG002  (only a hint)
        lock_id = uuid4()
        with atomic():
            pending = rows().filter(status=Status.PENDING, waits_for=None, next_attempt_at__lte=Now())
            due = list(locked(pending.order_by("priority", "next_attempt_at", "id"))[:limit])
            behind = _put_behind([row for row in due if row.key])
            heads = [row.id for row in due if row.id not in behind]
            rows().filter(id__in=heads, status=Status.PENDING, waits_for=None).update(
                status=Status.PROCESSING,
                attempts=F("attempts") + 1,
                schedule_key=None,
                lock_id=lock_id,
                locked_by=by,
                locked_until=later(lease),
            )
            taken = {row.id: row for row in rows().filter(id__in=heads, lock_id=lock_id)}
        put_off = {row.id for row in due if row.put_off_until}
        messages = [_claimed(taken[id_], put_off) for id_ in heads if id_ in taken]
        return Claim(lock_id, messages, more=len(due) >= limit and bool(messages or any(behind.values())))

    def renew(self, ids: Sequence[UUID], lock_id: UUID, lease: float) -> int:
        with atomic():
            return _ours(_unlocked(ids, lock_id), lock_id).update(locked_until=later(lease))

    def settle_sent(self, ids: Sequence[UUID], lock_id: UUID, resend_after: float, cap: float) -> int:
        settled = 0
        with atomic():
            by_resends: dict[int, list[UUID]] = defaultdict(list)
            for id_, resends in locked(_ours(ids, lock_id)).values_list("id", "resends"):
                by_resends[resends].append(id_)
            for resends, some in by_resends.items():
                wait = min(resend_after * 2 ** min(resends, 20), cap)
                settled += _ours(some, lock_id).update(
                    status=Status.SENT, sent_at=Now(), lock_id=None, locked_until=later(wait)
                )
        return settled

    def settle_failed(self, failures: Sequence[Failure], lock_id: UUID, worker: str) -> int:
        by_id = {failure.id: failure for failure in failures}
        with atomic():
            found = locked(_ours(list(by_id), lock_id)).values_list("id", "attempts")
            settled = [Failed(by_id[id_], attempts) for id_, attempts in found]
            for failed in settled:
                failed.write(lock_id)
            Attempt.objects.using(conf().DATABASE).bulk_create([failed.attempt(worker) for failed in settled])
        return len(settled)

    def unsettled(self, attempts: Mapping[UUID, int], lock_id: UUID) -> Unsettled:
        found = rows().filter(id__in=attempts).values_list("id", "attempts", "status", "lock_id")
        notes = Attempt.objects.using(conf().DATABASE).filter(
            message__in=attempts, stage=Attempt.Stage.UNKNOWN
        )
        handed_back = set(notes.values_list("message", "number"))
        ours = {id_ for id_, _, status, lock in found if status == Status.PROCESSING and lock == lock_id}
        refused = sum(
            (
                (status == Status.PROCESSING and lock != lock_id and attempt == attempts[id_])
                or (status == Status.PENDING and attempt < attempts[id_])
            )
            and (id_, attempts[id_]) not in handed_back
            for id_, attempt, status, lock in found
        )
        return Unsettled(ours, refused)

    def release(self, ids: Sequence[UUID], lock_id: UUID) -> int:
        with atomic():
            return _ours(_unlocked(ids, lock_id), lock_id).update(
                status=Status.PENDING, attempts=REFUND, **FREE
            )

    def defer(self, delays: Sequence[tuple[UUID, float]], lock_id: UUID) -> int:
        back = {"status": Status.PENDING, "attempts": REFUND, **FREE}
        seconds = dict(delays)
        with atomic():
            return sum(
                _ours([id_], lock_id).update(
                    next_attempt_at=later(seconds[id_]), put_off_until=later(seconds[id_]), **back
                )
                for id_ in _unlocked(list(seconds), lock_id)
            )

    def hold(self, pairs: Sequence[tuple[UUID, UUID]], lock_id: UUID) -> int:
        by_pause: dict[UUID, list[UUID]] = defaultdict(list)
        for id_, pause in pairs:
            by_pause[pause].append(id_)
        held = 0
        with atomic():
            for pause, ids in by_pause.items():
                stands = Exists(Pause.objects.using(conf().DATABASE).filter(pk=pause))
                held += (
                    _ours(_unlocked(ids, lock_id), lock_id)
                    .filter(stands)
                    .update(status=Status.PENDING, attempts=REFUND, waits_for=pause, **FREE)
                )
        return held


class Failed:
    """One message that could not be sent, about to be written down."""

    def __init__(self, failure: Failure, attempts: int) -> None:
        self.failure = failure
        self.attempts = attempts

    def write(self, lock_id: UUID) -> None:
        """Pending later, or Failed."""
        delay = self.failure.delay
        _ours([self.failure.id], lock_id).update(
            status=Status.FAILED if delay is None else Status.PENDING,
            attempts=F("attempts") - int(self.failure.is_refunded),
            next_attempt_at=later(delay or 0.0),
            last_error=Value(self.failure.error),
            **FREE,
        )

    def attempt(self, worker: str) -> Attempt:
        """Its place in the history."""
        return Attempt(
            message_id=self.failure.id,
            number=self.attempts,
            stage=self.failure.stage,
            error=self.failure.error,
            worker=worker,
        )


def _ours(ids: Sequence[UUID], lock_id: UUID) -> QuerySet[Message]:
    return rows().filter(id__in=ids, lock_id=lock_id, status=Status.PROCESSING)


def _unlocked(ids: Sequence[UUID], lock_id: UUID) -> list[UUID]:
    """Those that no consumer holds at this moment: it was quicker, and needs nothing of ours."""
    return list(locked(_ours(ids, lock_id)).values_list("id", flat=True))


def _put_behind(keyed: Sequence[Message]) -> dict[UUID, bool]:
    """Keyed messages that are not the first of their key, and whether they could be put behind the one ahead."""
    behind: dict[UUID, bool] = {}
    for row in keyed:
        ahead = _ahead(row)
        if ahead is not None:
            held = locked(rows().filter(pk=ahead).exclude(OVER)).values_list("id", flat=True).first()
            behind[row.id] = held is not None
            if held is not None:
                rows().filter(pk=row.id, status=Status.PENDING).update(waits_for=held)
                # An earlier one that waited for this one while it was on its way: it no longer is.
                rows().filter(pk=held, waits_for=row.id).update(**DUE_AGAIN)
    return behind


def _ahead(row: Message) -> UUID | None:
    """The message before it in its key that is not over, else a later one that is on its way."""
    lane = rows().filter(consumer=row.consumer, key=row.key).exclude(pk=row.pk).exclude(OVER)
    at = Subquery(rows().filter(pk=row.pk).values("occurred_at"))  # compared as the database keeps it
    earlier = Q(occurred_at__lt=at) | Q(occurred_at=at, id__lt=row.id)
    ids = lane.filter(earlier).order_by("-occurred_at", "-id").values_list("id", flat=True)
    found: UUID | None = ids.first()
    return found or lane.filter(ON_ITS_WAY).values_list("id", flat=True).first()


def _claimed(row: Message, put_off: set[UUID]) -> Claimed:
    return Claimed(
        row.id,
        row.type,
        row.consumer,
        json.dumps(row.payload),
        json.dumps(row.headers),
        row.queue,
        row.priority,
        row.attempts,
        row.correlation_id,
        row.attempts - row.redriven_after,
        row.key,
        row.id in put_off,
    )
