"""The timeline as inline SVG: drawn by the server, in percent of whatever width there is, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from outbox.saga.admin.states import happening
from outbox.saga.admin.timeline import Bar, Lane, Timeline
from outbox.saga.models import SagaStep, SagaTransition

AXIS = 24
ROW = 46
"""Pixels of the axis and of a lane: its name above its bars."""
THINNEST = 0.2
"""Percent of the width: what takes no time is seen, too."""
EDGE = 1.0
"""Percent left free on either side, so that the first and the last mark are whole."""


@dataclass(frozen=True)
class Shape:
    """A bar or a mark, as the template draws it: ``x`` and ``width`` in percent, ``y`` in pixels."""

    x: float
    width: float
    kind: str
    text: str
    href: str
    is_wait: bool = False
    is_open: bool = False

    @property
    def end(self) -> float:
        """Its right edge."""
        return self.x + self.width


@dataclass(frozen=True)
class Row:
    """A lane, as the template draws it."""

    y: int
    name: str
    aside: str
    bars: list[Shape]
    marks: list[Shape]


def draw(timeline: Timeline) -> SafeString:
    """The timeline as HTML."""
    rows = [_row(timeline, number, lane) for number, lane in enumerate(timeline.lanes)]
    context = {
        "rows": rows,
        "ticks": [
            {"x": _x(percent), "text": span(at), "anchor": "middle" if 4 < percent < 94 else _end(percent)}
            for percent, at in timeline.ticks()
        ],
        "height": AXIS + ROW * len(rows),
        "axis": AXIS,
        "is_cut": timeline.is_cut,
        "legend": _legend(rows),
    }
    return SafeString(render_to_string("admin/console/saga/drawing.html", context))


def span(length: timedelta) -> str:
    """A length of time, as exact as it is short: ``12 ms``, ``1.5 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    larger, smaller, unit = (60, 1, ("min", "s")) if seconds < 3600 else (3600, 60, ("h", "min"))
    whole, rest = divmod(round(seconds / smaller), larger // smaller)
    return f"{whole} {unit[0]}" + (f" {rest} {unit[1]}" if rest else "")


def _row(timeline: Timeline, number: int, lane: Lane) -> Row:
    marks = [Shape(_x(timeline.place(line.at)), 0, "mark", _told(line), _href(line)) for line in lane.marks]
    bars = [_bar(timeline, lane, bar) for bar in lane.bars]
    if lane.step is None:
        return Row(AXIS + ROW * number, _("Saga"), "", bars, marks)
    undo = lane.step.direction == SagaStep.Direction.COMPENSATION
    name = _("%(step)s · undone") % {"step": lane.step.name} if undo else lane.step.name
    return Row(AXIS + ROW * number, name, _tries(lane.step), bars, marks)


def _bar(timeline: Timeline, lane: Lane, bar: Bar) -> Shape:
    left, right = timeline.place(bar.start), timeline.place(bar.end)
    text = f"{_meaning(bar)} · {span(bar.end - bar.start)}"
    if bar.line is not None and bar.line.detail:
        text += f" · {bar.line.detail}"
    name = lane.step.name if lane.step else _("Saga")
    width = max(THINNEST, (right - left) * (100 - 2 * EDGE) / 100)
    return Shape(_x(left), width, bar.kind, f"{name}: {text}", _href(bar.line), bar.is_wait, bar.is_open)


def _meaning(bar: Bar) -> str:
    attempt = bar.line.attempt if bar.line is not None else None
    what = {
        "good": _("succeeded"),
        "retry": _("failed, tried again"),
        "bad": _("failed for good"),
        "work": _("at work"),
        "wait": _("waited") if not bar.is_open else _("waits"),
        "away": _("waited for its service") if not bar.is_open else _("waits for its service"),
        "undo": _("undone"),
        "stopped": _("stopped"),
        "plain": happening(bar.line.what)[0] if bar.line else "",
    }[bar.kind]
    return f"{what} ({_('attempt %d') % attempt})" if attempt and not bar.is_wait else str(what)


def _legend(rows: list[Row]) -> Iterator[tuple[str, str]]:
    """Of what is there only."""
    there = {shape.kind for row in rows for shape in row.bars}
    names = (
        ("good", _("Succeeded")),
        ("work", _("At work")),
        ("retry", _("Failed, tried again")),
        ("bad", _("Failed for good")),
        ("undo", _("Compensating")),
        ("stopped", _("Stopped")),
        ("wait", _("Waits")),
        ("away", _("Waits for its service")),
    )
    return ((kind, name) for kind, name in names if kind in there)


def _tries(step: SagaStep) -> str:
    return _("%d attempts") % step.attempt if step.attempt > 1 else ""


def _told(line: SagaTransition) -> str:
    return ": ".join(filter(None, [happening(line.what)[0], line.detail]))


def _href(line: SagaTransition | None) -> str:
    return f"#line-{line.pk}" if line is not None else ""


def _x(percent: float) -> float:
    return EDGE + percent * (100 - 2 * EDGE) / 100


def _end(percent: float) -> str:
    return "start" if percent <= 4 else "end"
