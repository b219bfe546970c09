"""The parts of a saga's page; whatever page shows the thing it works on may borrow them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from outbox.admin.json_view import pretty_json
from outbox.admin.links import flower_links
from outbox.admin.message_sections import related_messages
from outbox.admin.privacy import for_reader
from outbox.admin.rendering import NOTHING, Section, anchors, code, long_text, moment, table
from outbox.saga.admin.drawing import span
from outbox.saga.admin.states import happening, step_label
from outbox.saga.admin.step_operations import offered_on
from outbox.saga.dependencies.models import DependencyWait
from outbox.saga.models import Saga, SagaStep, SagaTransition


def sections_of(request: HttpRequest, saga: Saga) -> Iterator[Section]:
    """What does not move: results and messages."""
    yield Section(_("Context"), pretty_json(for_reader(request, saga.context)))
    if request.user.has_perm("outbox.view_message"):
        yield related_messages(saga.key)


def steps(request: HttpRequest, saga: Saga) -> Section:
    """Each step in each direction that was reached."""
    waits = DependencyWait.objects.using(saga._state.db).filter(
        step__saga=saga, step__status=SagaStep.Status.SCHEDULED
    )
    return steps_section(request, saga, list(saga.steps.all()), {wait.pk: wait for wait in waits})


def steps_section(
    request: HttpRequest, saga: Saga, rows: Sequence[SagaStep], waits: Mapping[int, DependencyWait]
) -> Section:
    """The same, of rows that were read already; ``waits`` is what they wait for, by their ids."""
    headers = (
        _("Step"),
        _("State"),
        _("Attempts"),
        _("Reached"),
        _("Took"),
        _("Outcome"),
        _("See"),
    )
    cells = [
        (
            _name(step),
            step_label(step, waits[step.pk].dependency if step.pk in waits else ""),
            step.attempt,
            moment(step.scheduled_at),
            span(step.ended_at - step.scheduled_at) if step.ended_at else NOTHING,
            _outcome(request, step),
            anchors([*_links(request, step), *offered_on(request, saga, step)]),
        )
        for step in rows
    ]
    return Section(_("Steps"), table(headers, cells, empty=_("No step was reached yet.")))


def history(lines: Iterable[SagaTransition], *, is_cut: bool, nothing: str) -> Section:
    """What happened, oldest first; ``nothing`` is said when nothing did."""
    entries = [
        {"line": line, "at": moment(line.at), "what": what, "variant": colour}
        for line in lines
        for what, colour in [happening(line.what)]
    ]
    context = {"entries": entries, "is_cut": is_cut, "nothing": nothing}
    html = render_to_string("admin/console/saga/history.html", context)
    return Section(_("History"), SafeString(html))


def _name(step: SagaStep) -> SafeString:
    direction = step.get_direction_display()
    return format_html("<strong>{}</strong> <span class='console-aside'>{}</span>", step.name, direction)


def _outcome(request: HttpRequest, step: SagaStep) -> SafeString:
    """The error while there is one that matters, else the result."""
    if step.last_error and step.status != SagaStep.Status.SUCCEEDED:
        return long_text(for_reader(request, step.last_error))
    result = for_reader(request, step.result)
    return code(json.dumps(result, ensure_ascii=False)) if result else long_text("")


def _links(request: HttpRequest, step: SagaStep) -> Iterable[tuple[str, str]]:
    if step.message_id is None:  # it waits for an outside event
        return
    if request.user.has_perm("outbox.view_message"):
        yield reverse("admin:outbox_message_change", args=[step.message_id]), _("Message")
    yield from flower_links(step.message_id)
