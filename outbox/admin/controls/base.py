"""What both kinds of control have in common: added by a form that asks why, ended by an operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import ngettext

from outbox.admin.base import ConsoleAdmin
from outbox.admin.operations import Outcome
from outbox.conf import conf
from outbox.exceptions import OperationRefused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from outbox.controls import LetGo

PERMISSION = "outbox.control_relay"


class ControlAdmin(ConsoleAdmin):
    """A kind of control. Its rows are written by :mod:`outbox.controls`, which also notes who and why."""

    sortable_by = ()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Who may control the relays."""
        return bool(request.user.has_perm(PERMISSION))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody: it is ended, or replaced."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody deletes the row: ending it also lets go what it held."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:  # noqa: ARG002
        """The rows, in the database that carries the messages."""
        rows: QuerySet[Any] = self.model._default_manager.using(conf().DATABASE)
        return rows.order_by("pk")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form. What is refused all the same, such as a second pause at the same moment, is told in the list."""
        try:
            response: HttpResponse = super().add_view(request, form_url, extra_context)
        except OperationRefused as error:
            messages.error(request, str(error))
            return self._to_list()
        return response

    def save_model(self, request: HttpRequest, obj: Any, form: BaseForm, change: bool) -> None:  # noqa: ARG002
        """Have it done; the form's object becomes the row that was written."""
        made = self.put_in_force(request, form.cleaned_data)
        for column in made._meta.concrete_fields:
            setattr(obj, column.attname, getattr(made, column.attname))

    def put_in_force(self, request: HttpRequest, given: dict[str, Any]) -> Model:
        """Do what the form asks for. Returns the row."""
        raise NotImplementedError

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing: it was noted in the transaction that did it."""

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:  # noqa: ARG002
        """Lead to the list."""
        return self._to_list()

    def sections(self, request: HttpRequest, obj: Any) -> Iterable[Any]:  # noqa: ARG002
        """None."""
        return ()

    def _to_list(self) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"admin:{self._url_name('changelist')}"))


def operator(request: HttpRequest) -> User:
    """Who asks, and may control the relays.

    Raises:
        PermissionDenied: the user may not.
    """
    user = request.user
    if user.is_anonymous or not user.has_perm(PERMISSION):
        raise PermissionDenied(f"{user} has no permission {PERMISSION}.")
    return user


def end_each(
    rows: Callable[[], QuerySet[Any]],
    end: Callable[[Any, User], LetGo],
    user: User,
    ids: Sequence[Any],
    _reason: str,
) -> Outcome:
    """End those that are still in force, and say how much the relays are still to let go.

    Those that are no longer in force are counted as refused.
    """
    ended = left = 0
    for row in rows().filter(pk__in=ids).order_by("pk"):
        try:
            left += end(row, user).left
        except OperationRefused:  # somebody was quicker: it is as the user wants it
            continue
        ended += 1
    outcome = Outcome(ended, len(ids) - ended)
    if not left:
        return outcome
    said = ngettext(
        "%(count)s more message is let go by the relays within about a minute.",
        "%(count)s more messages are let go by the relays within about a minute.",
        left,
    )
    return outcome._replace(explanations=(said % {"count": f"{left:,}"},))
