"""Pause all sagas of a definition, such as for a deployment or while a service is being looked into."""

from __future__ import annotations

from django.utils.translation import gettext as _

from outbox.database import atomic, execute, fetch
from outbox.saga import registry
from outbox.saga.exceptions import SagaRefused
from outbox.wording import describe

PAUSE = """
INSERT INTO saga_sagapause (definition, actor, reason, ended_by, end_reason) VALUES (%s, %s, %s, '', '')
ON CONFLICT DO NOTHING
"""

UNPAUSE = """
UPDATE saga_sagapause SET ended_at = now(), ended_by = %s, end_reason = %s
WHERE definition = %s AND ended_at IS NULL
RETURNING started_at
"""

LATER_DEADLINES = """
UPDATE saga_saga SET deadline_at = deadline_at + (now() - greatest(started_at, %s::timestamptz))
WHERE definition = %s AND status IN ('running', 'compensating') AND paused_at IS NULL
"""

LONGER_WAITS = """
UPDATE saga_sagastep p SET locked_until = locked_until + (now() - greatest(p.scheduled_at, %s::timestamptz))
FROM saga_saga s
WHERE s.id = p.saga_id AND s.definition = %s AND s.paused_at IS NULL AND p.status = 'waiting'
"""


def pause_definition(definition: str, *, actor: str, reason: str) -> None:
    """Hold all sagas of a definition, those that are started from now on included.

    Attempts at work end, and nothing begins until :func:`unpause_definition`. Signals are kept. Time does not run.

    Raises:
        SagaRefused: it is paused already, or no definition of that name is known here.
        ValueError: no reason was given.
    """
    _check(definition, reason)
    if not execute(PAUSE, [definition, actor, describe(reason)]):
        raise SagaRefused(_("%(name)s is paused already.") % {"name": definition})


def unpause_definition(definition: str, *, actor: str, reason: str) -> None:
    """Let the sagas of a definition go on. The watchdog sends what was held, some hundreds in each of its rounds.

    Raises:
        SagaRefused: it is not paused.
        ValueError: no reason was given.
    """
    _check(definition, reason)
    with atomic():
        ended = fetch(UNPAUSE, [actor, describe(reason), definition])
        if not ended:
            raise SagaRefused(_("%(name)s is not paused.") % {"name": definition})
        since = ended[0][0]
        execute(LATER_DEADLINES, [since, definition])
        execute(LONGER_WAITS, [since, definition])


def paused_definitions() -> list[str]:
    """Names of the definitions that are paused now."""
    return [
        row[0] for row in fetch("SELECT definition FROM saga_sagapause WHERE ended_at IS NULL ORDER BY 1")
    ]


def _check(definition: str, reason: str) -> None:
    if not reason.strip():
        raise ValueError("Say why: the reason is kept with the pause.")
    if definition not in registry.names():
        known = ", ".join(registry.names()) or _("none")
        raise SagaRefused(
            _("There is no saga '%(name)s'. Known: %(known)s.") % {"name": definition, "known": known}
        )
