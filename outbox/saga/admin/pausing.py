"""Pausing all sagas of a definition: asked for on a page of its own, with reason and audit entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from outbox.admin.operating import ReasonForm
from outbox.admin.operations import Operation, Outcome, note
from outbox.admin.rendering import moment
from outbox.conf import conf
from outbox.saga import pausing, registry
from outbox.saga.admin.operations import PAUSE, PERMISSION, UNPAUSE
from outbox.saga.exceptions import SagaRefused
from outbox.saga.models import SagaPause

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LIST = "admin:saga_saga_changelist"


def _perform(change: Callable[..., None], said: str, user: User, names: Any, reason: str) -> Outcome:
    """The audit entry is of the pause itself, which is kept when it has ended."""
    (definition,) = names
    try:
        change(definition, actor=user.get_username(), reason=reason)
    except SagaRefused as error:
        return Outcome(0, 1, (str(error),))
    latest = SagaPause.objects.using(conf().DATABASE).filter(definition=definition).order_by("-id")[:1]
    note(user, list(latest), f"{said} {definition}: {reason}")
    return Outcome(1, 0)


PAUSE_ALL = replace(
    PAUSE,
    perform=partial(_perform, pausing.pause_definition, "Paused"),
    question=ngettext_lazy("Pause %(count)d definition?", "Pause %(count)d definitions?", "count"),
    explanation=gettext_lazy(
        "Attempts at work end, and nothing begins, also not of sagas that are started from now on. Orders are taken "
        "as ever. The time of the sagas does not run meanwhile."
    ),
    done=ngettext_lazy("%(count)d definition is paused.", "%(count)d definitions are paused.", "count"),
    refused=ngettext_lazy("Nothing was paused.", "Nothing was paused.", "count"),
)
UNPAUSE_ALL = replace(
    UNPAUSE,
    perform=partial(_perform, pausing.unpause_definition, "Ended the pause of"),
    question=ngettext_lazy(
        "End the pause of %(count)d definition?", "End the pause of %(count)d definitions?", "count"
    ),
    explanation=gettext_lazy("What was held begins, some hundreds in each round of the watchdog."),
    done=ngettext_lazy("%(count)d definition goes on.", "%(count)d definitions go on.", "count"),
    refused=ngettext_lazy("Nothing was changed.", "Nothing was changed.", "count"),
)
OPERATIONS = {operation.name: operation for operation in (PAUSE_ALL, UNPAUSE_ALL)}


def pauses(request: HttpRequest) -> Iterator[dict[str, Any]]:
    """The definitions that are paused, for the place above the list."""
    may = request.user.has_perm(PERMISSION)
    for pause in SagaPause.objects.using(conf().DATABASE).filter(ended_at=None).order_by("definition"):
        yield {
            "pause": pause,
            "since": moment(pause.started_at),
            "url": _url(pause.definition, UNPAUSE_ALL) if may else "",
        }


def offers(request: HttpRequest, paused: set[str]) -> Iterator[tuple[str, str]]:
    """Addresses and names of the definitions that this user may pause."""
    if request.user.has_perm(PERMISSION):
        yield from ((_url(name, PAUSE_ALL), name) for name in registry.names() if name not in paused)


def pause_page(request: HttpRequest, definition: str, name: str, context: dict[str, Any]) -> HttpResponse:
    """GET asks, POST does it. ``context`` is the admin site's."""
    operation = OPERATIONS.get(name)
    if operation is None or definition not in registry.names():
        raise Http404(f"There is no {name!r} of {definition!r}.")
    user = operation.require(request.user)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        outcome = operation.run(user, [definition], form.cleaned_data["reason"])
        if outcome.changed:
            messages.success(request, operation.done % {"count": 1})
        for explanation in outcome.explanations:
            messages.warning(request, explanation)
        return HttpResponseRedirect(reverse(LIST))
    page = {
        "title": f"{operation.label}: {definition}",
        "operation": operation,
        "objects": [_("All sagas of %s") % definition],
        "form": form,
        "back": reverse(LIST),
    }
    return TemplateResponse(request, "admin/console/operation.html", context | page)


def _url(definition: str, operation: Operation) -> str:
    return reverse("admin:saga_saga_definition", args=[definition, operation.name])
