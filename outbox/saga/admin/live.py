"""The part of a saga's page that moves: state, what can be done, the drawing, steps and history.

While the saga goes on the page asks for it again every two seconds. Where nothing has happened the answer is empty and
the page stays as it is, so that a reader's focus, selection and place are not taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from outbox.admin.privacy import for_reader
from outbox.conf import conf
from outbox.saga.admin.drawing import draw
from outbox.saga.admin.sections import history, steps_section
from outbox.saga.admin.states import saga_label
from outbox.saga.admin.timeline import timeline_of
from outbox.saga.dependencies.models import DependencyWait
from outbox.saga.models import Saga, SagaStep, SagaTransition

MOST_LINES = 200
SCHEDULED, RUNNING = SagaStep.Status.SCHEDULED, SagaStep.Status.RUNNING


@dataclass(frozen=True)
class Story:
    """What a saga's page is made of: read once, in four queries.

    Args:
        saga: its row.
        steps: those that were reached.
        lines: the latest part of its history, oldest first.
        is_cut: whether there is more.
        waits: what steps wait for, by their ids.
        now: the database's clock.
    """

    saga: Saga
    steps: Sequence[SagaStep]
    lines: Sequence[SagaTransition]
    is_cut: bool
    waits: dict[int, DependencyWait]
    now: datetime

    @property
    def mark(self) -> str:
        """Changes whenever something has happened."""
        latest = self.lines[-1].pk if self.lines else 0
        wakes = max((wait.until.timestamp() for wait in self.waits.values()), default=0)
        return f"{latest}-{self.saga.status}-{wakes:.0f}"

    @property
    def is_moving(self) -> bool:
        """Whether something is at work right now."""
        return any(step.status == RUNNING for step in self.steps)


def story_of(request: HttpRequest, saga: Saga) -> Story:
    """Read it, as this user may see it: none of the objects must be saved afterwards."""
    using = conf().DATABASE
    steps = list(saga.steps.all())
    latest = SagaTransition.objects.using(using).filter(saga=saga).annotate(now=Now()).order_by("-id")
    lines = list(latest[: MOST_LINES + 1])
    hide_in(request, saga, lines)
    waiting = DependencyWait.objects.using(using).filter(step__saga=saga, step__status=SCHEDULED)
    now = lines[0].now if lines else saga.started_at
    is_cut = len(lines) > MOST_LINES
    return Story(saga, steps, lines[:MOST_LINES][::-1], is_cut, {w.pk: w for w in waiting}, now)


def live_part(request: HttpRequest, story: Story, offered: Sequence[dict[str, Any]]) -> SafeString:
    """The part as HTML.

    Args:
        offered: buttons of the operations that this user may use now.
    """
    saga = story.saga
    timeline = timeline_of(saga, story.steps, story.lines, story.now, is_cut=story.is_cut)
    context = {
        "saga": saga,
        "state": saga_label(saga),
        "offered": offered,
        "drawing": draw(timeline),
        "sections": [
            steps_section(request, saga, story.steps, story.waits),
            history(story.lines, is_cut=story.is_cut, nothing=_nothing(saga)),
        ],
        "url": "" if saga.ended_at else f"{live_url(saga.pk)}?mark={story.mark}",
    }
    return SafeString(render_to_string("admin/console/saga/live.html", context, request=request))


def _nothing(saga: Saga) -> str:
    """What is said where there is no history."""
    if saga.history_pruned_at is None:
        return _("Nothing has happened yet.")
    return _("Its steps and its history were deleted on %s, as the retention says.") % date_format(
        timezone.localtime(saga.history_pruned_at)
    )


def hide_in(request: HttpRequest, saga: Saga, lines: Sequence[SagaTransition] = ()) -> None:
    """Hide personal data in the texts of a saga and of its history."""
    saga.attention, saga.reason = for_reader(request, saga.attention), for_reader(request, saga.reason)
    for line in lines:
        line.detail = for_reader(request, line.detail)


def live_url(saga_id: UUID) -> str:
    """Where the page asks for it again."""
    return reverse("admin:saga_saga_live", args=[saga_id])
