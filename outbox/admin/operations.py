"""What people do to rows, each a declared operation: permitted, with a reason where needed, and audited.

The audit entry is a ``LogEntry`` of Django's admin, written in the transaction of the change, so that an
object's history says who did what, and why. (Where ``OUTBOX["DATABASE"]`` is not the admin's database, there are
two transactions, and the entry is committed last.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.db import models, transaction

from outbox.journal import CHANGED, enter

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.utils.functional import _StrPromise as Lazy


class Outcome(NamedTuple):
    """What an operation did.

    Args:
        changed: how many rows it changed.
        refused: how many were not in a state for it, and are as they were.
        explanations: why, where that differs from row to row.
    """

    changed: int
    refused: int
    explanations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """Something that a person may do to rows of one model.

    Args:
        name: in addresses and forms.
        label: on its button.
        permission: who may, such as ``outbox.redrive_message``.
        perform: changes the rows of these ids and writes the audit; told the user, the ids and the reason.
        applies: whether a row, as it was read, is in a state for it; decides whether its button is shown.
        question: heading of the page that confirms it, with ``%(count)d``.
        done: said of the rows that were changed, with ``%(count)d``.
        refused: said of the others, with ``%(count)d``.
        explanation: what it means, on the page that confirms it.
        needs_reason: whether it is asked why; the reason is kept in the audit.
        is_dangerous: shown in red.
    """

    name: str
    label: Lazy
    permission: str
    perform: Callable[[User, Sequence[Any], str], Outcome]
    applies: Callable[[Any], bool]
    question: Lazy
    done: Lazy
    refused: Lazy
    explanation: Lazy
    needs_reason: bool = False
    is_dangerous: bool = False

    def require(self, user: User | AnonymousUser) -> User:
        """The user, who may do this.

        Raises:
            PermissionDenied: the user may not.
        """
        if user.is_anonymous or not user.has_perm(self.permission):
            raise PermissionDenied(f"{user} has no permission {self.permission}.")
        return user

    def run(self, user: User | AnonymousUser, ids: Iterable[Any], reason: str = "") -> Outcome:
        """Do it, with its audit, in one transaction.

        Args:
            user: who does it; the permission is checked here, whatever the pages had shown.
            ids: primary keys of the rows.
            reason: why, where the operation asks for it.

        Raises:
            PermissionDenied: the user may not; nothing was changed.
            ValueError: a reason is needed and was not given; nothing was changed.
        """
        permitted = self.require(user)
        if self.needs_reason and not reason.strip():
            raise ValueError(f"{self.name!r} needs a reason.")
        with transaction.atomic():
            return self.perform(permitted, list(ids), reason.strip())


def note(user: User, objects: Sequence[models.Model], what: str) -> None:
    """Add an audit entry to the history of each object, in the caller's transaction."""
    enter(user, objects, CHANGED, what)
