"""How long to wait for somebody who knows a message that this process does not.

While a new version is being deployed, relays and workers with the old code meet messages for the new one. That is
nobody's failure: such a message goes back, says why, and costs no attempt; those who know it find it in one of the
next rounds. Only when nobody did for a while is it Failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, F, Min
from django.db.models.functions import Now

from outbox.backoff import RetryPolicy
from outbox.conf import conf
from outbox.models import Attempt

SLOWEST = 30.0
"""Seconds between two looks, at most: whoever knows it may come at any moment."""


def next_looks(ids: Sequence[UUID]) -> dict[UUID, float | None]:
    """Of each of these messages, which nobody here knows, the seconds after which it is worth another look.

    ``None``: it is over ``UNKNOWN_TYPE_PATIENCE`` seconds, by the database's clock, since the first such look at the
    attempt at hand, whose number comes again with each. The last look is at the end of that time. What an earlier
    attempt met does not count: that was another deployment.
    """
    if not ids:
        return {}
    found = (
        Attempt.objects.using(conf().DATABASE)
        .filter(message__in=ids, stage=Attempt.Stage.UNKNOWN, number__gte=F("message__attempts"))
        .values("message")
        .annotate(looks=Count("id"), first=Min("failed_at"), now=Now())
        .values_list("message", "looks", "first", "now")
    )
    looked = {id_: (looks, now - first) for id_, looks, first, now in found}
    return {id_: _next_look(*looked.get(id_, (0, timedelta()))) for id_ in ids}


def _next_look(looks: int, waited: timedelta) -> float | None:
    """Later each time, and just at the end of the patience when that is sooner."""
    left = conf().UNKNOWN_TYPE_PATIENCE - waited.total_seconds()
    if left <= 0:
        return None
    policy = RetryPolicy(max_attempts=None, initial=conf().BACKOFF_INITIAL, cap=SLOWEST)
    return min(policy.delay(looks + 1), left)
