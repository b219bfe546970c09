"""A person's turn at a saga: who, why, and what is refused in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.utils.translation import gettext as _

from outbox.saga.exceptions import SagaRefused, UnknownSaga, UnknownVersion
from outbox.saga.turn import Turn, turn
from outbox.wording import describe


@contextmanager
def operating(saga_id: UUID, actor: str) -> Iterator[Turn | None]:
    """A turn for a person: a saga whose definition is gone is refused in words."""
    try:
        with turn(saga_id, actor) as t:
            yield t
    except (UnknownSaga, UnknownVersion) as error:
        raise SagaRefused(
            _("Nothing can be done with it as long as its definition is missing. %(error)s")
            % {"error": error}
        ) from error


def refuse_if(condition: bool, why: str) -> None:
    """Refuse in words, where the saga's state does not allow it.

    Raises:
        SagaRefused: ``condition`` holds.
    """
    if condition:
        raise SagaRefused(why)


def reason_given(reason: str, what: str) -> str:
    """The reason, as the history keeps it.

    Args:
        reason: what the person wrote.
        what: that is done for it, as a clause.

    Raises:
        ValueError: there is none.
    """
    if not reason.strip():
        raise ValueError(f"Say why {what}: the reason is kept in its history.")
    return describe(reason)
