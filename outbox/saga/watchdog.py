"""The watchdog: no saga is silently stuck. Any number of them may run side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID

from outbox.database import DATABASE_AWAY, connection
from outbox.saga import engine
from outbox.saga.compensating import CURRENT
from outbox.saga.exceptions import AttemptLost, UnknownVersion
from outbox.saga.models import Saga, SagaStep
from outbox.saga.store import store
from outbox.saga.turn import Turn, turn
from outbox.wording import describe

logger = logging.getLogger(__name__)

Status = SagaStep.Status
ACTOR = "watchdog"
LIMIT = 200


class Swept(NamedTuple):
    """What a round found, in sagas; those included that could only be parked."""

    attempts_lost: int
    past_deadline: int
    orphaned: int
    released: int = 0
    signalled: int = 0
    migrated: int = 0


def sweep() -> Swept:
    """One round: attempts whose worker died, waits whose time is over, sagas past their deadline, steps whose message
    is gone, sagas that go on after a pause, signals that nobody has taken, sagas of versions that are to be migrated.

    A saga that cannot be handled, because its definition is gone or a hook of it raises, is parked without its
    hooks, and keeps nobody else waiting. One of a version that is not known here is left for some minutes to
    processes that know it: versions are being deployed.

    Raises:
        OperationalError, InterfaceError: the database is away.
    """
    due = store()
    swept = Swept(
        migrated=_each(due.outdated(LIMIT), lambda _: True),
        signalled=_each(due.signalled(LIMIT), lambda t: bool(engine.deliver_signals(t))),
        attempts_lost=_each(due.past_lease(LIMIT), _time_is_over),
        past_deadline=_each(due.past_deadline(LIMIT), _give_up_waiting),
        released=_each(due.released(LIMIT), _release),
        orphaned=_each(due.orphaned(LIMIT), _park_orphan),
    )
    if any(swept):
        logger.warning("Swept: %s", {name: count for name, count in swept._asdict().items() if count})
    return swept


def _each(saga_ids: Iterable[UUID], handle: Callable[[Turn], bool]) -> int:
    """Handle sagas one transaction each, passing over those that somebody else holds right now."""
    handled = 0
    for saga_id in dict.fromkeys(saga_ids):
        try:
            with turn(saga_id, ACTOR, skip_locked=True) as t:
                found = t is not None and t.saga.status in CURRENT and handle(t)
        except DATABASE_AWAY:
            if not _database_answers():
                raise
            logger.warning("Saga %s has to wait for the next round", saga_id, exc_info=True)  # locks
        except UnknownVersion as error:
            handled += _park(saga_id, error) if store().is_long_overdue(saga_id) else 0
        except Exception as error:
            logger.exception("Saga %s cannot go on: it is parked", saga_id)
            handled += _park(saga_id, error)
        else:
            handled += int(found)
    return handled


def _database_answers() -> bool:
    return connection().connection is not None and connection().is_usable()


def _park(saga_id: UUID, error: Exception) -> int:
    """Park a saga with its hook, which tells the application; without it where that raises, or is not known."""
    reason = describe(f"The watchdog could not bring it on: {describe(error)}")
    try:
        with turn(saga_id, ACTOR, skip_locked=True) as t:
            if t is None or t.saga.status not in CURRENT:
                return 0
            engine.park(t, reason)
    except DATABASE_AWAY:
        raise
    except Exception:
        logger.exception("Saga %s is parked without its hook: its application does not know", saga_id)
        return int(store().park(saga_id, ACTOR, f"{reason} (Parked without its hook.)"))
    return 1


def _time_is_over(t: Turn) -> bool:
    """Workers that died or hang, and waits: looked at again, now that the saga is ours."""
    engine.deliver_signals(t)
    over = [
        row
        for row in t.rows
        if row.status in (Status.RUNNING, Status.WAITING) and t.is_over(row.locked_until)
    ]
    for row in over:
        step = t.definition.step(row.name)
        if row.status == Status.RUNNING:
            lost = AttemptLost(f"Attempt {row.attempt} did not end within its lease.")
            engine.fail(t, row, step, lost)
        elif row.status == Status.WAITING and not t.is_paused:
            engine.wait_is_over(t, row, step)
    return bool(over)


def _give_up_waiting(t: Turn) -> bool:
    is_due = t.is_over(t.saga.deadline_at) and not t.is_paused
    if t.saga.status != Saga.Status.RUNNING or t.saga.cancel_requested or not is_due:
        return False
    reason = "It did not end before its deadline."
    if not engine.call_off_saga(t, reason):
        engine.park(t, reason)
    return True


def _release(t: Turn) -> bool:
    """Send the commands again that came during a pause: the same attempts, none is spent."""
    held = [row for row in t.rows if row.held and row.status == Status.SCHEDULED]
    if t.is_paused or not held:
        return False
    engine.release(t)
    return True


def _park_orphan(t: Turn) -> bool:
    """Steps that wait for a message which will never come: failed, discarded or deleted."""
    for row in t.rows:
        if row.status == Status.SCHEDULED and not row.held and not _has_live_message(t, row):
            engine.park(t, f"The message of {row} failed or was discarded.")
            return True
    return False


def _has_live_message(t: Turn, row: SagaStep) -> bool:
    return row.message_id is not None and t.store.has_live_message(row.message_id)
