"""How often duplicates and zombies were refused: what the fences have kept from happening."""

from __future__ import annotations

from typing import NamedTuple

from outbox.database import fetch

COUNT = """
SELECT coalesce(sum(p.duplicates_refused), 0), coalesce(sum(p.outcomes_refused), 0)
FROM saga_sagastep p JOIN saga_saga s ON s.id = p.saga_id
WHERE %s = '' OR s.definition = %s
"""


class Refusals(NamedTuple):
    """Counted with each step, in the transaction that refused them.

    Args:
        duplicates: deliveries of commands that were consumed, outdated or not wanted any more.
        outcomes: outcomes and heartbeats of attempts that had lost their step; each is in its saga's history, too.
    """

    duplicates: int
    outcomes: int


def refusals(definition: str = "") -> Refusals:
    """All refusals of a definition's sagas (or of all) that are still kept. Reads the whole table of steps."""
    return Refusals(*fetch(COUNT, [definition, definition])[0])
