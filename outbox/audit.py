"""The audit: do the promises hold over the data as it is now?

A check is a function that yields findings: sentences that name what is wrong and where. Applications add their own
with :func:`audit_check`. The chaos tests judge by it, and an operator can run it any day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from uuid import UUID

from outbox.database import fetch
from outbox.store.postgresql.rescuing import OVER

Check = Callable[[], Iterable[str]]

GRACE_SECONDS = 120.0
"""How long a row may be overdue before it counts as stuck: relays and watchdogs need a moment, too."""
MOST = 100
"""Findings of a sort: more would not say more."""

WAITS = f"""
SELECT m.id, m.type, m.waits_for, NOT EXISTS (
    SELECT 1 FROM outbox_message a WHERE a.id = m.waits_for AND NOT ({OVER})
)
FROM outbox_message m
WHERE m.waits_for IS NOT NULL AND m.next_attempt_at < now() - make_interval(secs => %s)
  AND NOT EXISTS (SELECT 1 FROM outbox_pause p WHERE p.id = m.waits_for)
ORDER BY m.id
"""  # noqa: S608  (constants only)
"""Who waits for whom, and whether that one is over: all but those that a pause holds back."""

_checks: list[Check] = []


def audit_check(check: Check) -> Check:
    """Decorator: add a check to the audit."""
    _checks.append(check)
    return check


def findings() -> list[str]:
    """All that is wrong, by all checks; empty when every promise holds."""
    return [finding for check in _checks for finding in check()]


@audit_check
def overdue_messages() -> Iterator[str]:
    """G4: no unfinished message is silently stuck. What waits for a pause or for the one before it is not."""
    rows = fetch(
        "SELECT id, type, status FROM outbox_message WHERE consumed_at IS NULL AND ("
        " (status = 'pending' AND waits_for IS NULL AND next_attempt_at < now() - make_interval(secs => %s))"
        " OR (status IN ('processing', 'sent') AND locked_until < now() - make_interval(secs => %s))"
        ") ORDER BY id LIMIT %s",
        [GRACE_SECONDS, GRACE_SECONDS, MOST],
    )
    for id_, type_, status in rows:
        yield f"Message {id_} ({type_}) is {status} and long overdue: does a relay run?"


@audit_check
def needless_waits() -> Iterator[str]:
    """G4: nobody waits for what is over or gone (which :func:`outbox.claims.heal` lets go), nor in a circle."""
    waits = fetch(WAITS, [GRACE_SECONDS])
    for id_, type_, waits_for in islice((row[:3] for row in waits if row[3]), MOST):
        yield f"Message {id_} ({type_}) waits for {waits_for}, which is over or gone: does a relay run?"
    for circle in islice(_circles({id_: waits_for for id_, _, waits_for, _ in waits}), MOST):
        yield f"Messages wait for each other: {', '.join(str(id_) for id_ in circle[:10])}."


@audit_check
def failures_without_reason() -> Iterator[str]:
    """G5: a Failed message says why."""
    for id_, type_ in fetch(
        "SELECT id, type FROM outbox_message WHERE status = 'failed' AND last_error = ''"
    ):
        yield f"Message {id_} ({type_}) is failed and nobody noted why."


def _circles(ahead: Mapping[UUID, UUID]) -> Iterator[list[UUID]]:
    """Each circle once: every message is looked at once, however long the chains are."""
    walks: dict[UUID, UUID] = {}
    for start in ahead:
        id_, path = start, list[UUID]()
        while id_ in ahead and id_ not in walks:
            walks[id_] = start
            path.append(id_)
            id_ = ahead[id_]
        if walks.get(id_) == start and path:
            yield path[path.index(id_) :]
