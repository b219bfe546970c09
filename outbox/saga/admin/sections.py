"""The parts of a saga's page below its fields; whatever page shows the thing it works on may borrow them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from outbox.admin.json_view import pretty_json
from outbox.admin.links import flower_links
from outbox.admin.message_sections import related_messages
from outbox.admin.rendering import Section, anchors, code, long_text, moment, table
from outbox.saga.admin.states import step_label
from outbox.saga.models import Saga, SagaStep, SagaTransition

MOST_TRANSITIONS = 200
VARIANTS = {
    "succeeded": "success",
    "completed": "success",
    "will retry": "warning",
    "given up": "danger",
    "failed": "danger",
    "parked": "danger",
    "compensating": "warning",
    "cancel requested": "warning",
    "resumed": "primary",
}
"""Colours of what a transition says; anything else is grey."""


def sections_of(request: HttpRequest, saga: Saga) -> Iterator[Section]:
    """Steps, history, results, messages."""
    yield steps(request, saga)
    yield _history(saga)
    yield Section(_("Context"), pretty_json(saga.context))
    if request.user.has_perm("outbox.view_message"):
        yield related_messages(saga.key)


def steps(request: HttpRequest, saga: Saga) -> Section:
    """Each step in each direction that was reached."""
    headers = (
        _("Step"),
        _("State"),
        _("Attempts"),
        _("Scheduled"),
        _("Started"),
        _("Ended"),
        _("Outcome"),
        _("See"),
    )
    rows = [
        (
            _name(step),
            step_label(step),
            step.attempt,
            moment(step.scheduled_at),
            moment(step.started_at),
            moment(step.ended_at),
            _outcome(step),
            anchors(_links(request, step)),
        )
        for step in saga.steps.all()
    ]
    return Section(_("Steps"), table(headers, rows, empty=_("No step was reached yet.")))


def _name(step: SagaStep) -> SafeString:
    direction = step.get_direction_display()
    return format_html("<strong>{}</strong> <span class='console-aside'>{}</span>", step.name, direction)


def _outcome(step: SagaStep) -> SafeString:
    """The error while there is one that matters, else the result."""
    if step.last_error and step.status != SagaStep.Status.SUCCEEDED:
        return long_text(step.last_error)
    return code(json.dumps(step.result, ensure_ascii=False)) if step.result else long_text("")


def _links(request: HttpRequest, step: SagaStep) -> Iterable[tuple[str, str]]:
    if request.user.has_perm("outbox.view_message"):
        yield reverse("admin:outbox_message_change", args=[step.message_id]), _("Message")
    yield from flower_links(step.message_id)


def _history(saga: Saga) -> Section:
    """Its latest transitions, oldest first."""
    latest = list(
        SagaTransition.objects.using(saga._state.db).filter(saga=saga).order_by("-id")[:MOST_TRANSITIONS]
    )
    entries = [
        {"transition": t, "at": moment(t.at), "variant": VARIANTS.get(t.what, "")} for t in reversed(latest)
    ]
    context = {"entries": entries, "is_cut": len(latest) == MOST_TRANSITIONS}
    return Section(_("History"), SafeString(render_to_string("admin/console/timeline.html", context)))
