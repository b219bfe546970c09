"""Pieces of pages: labels, links, times, tables. Everything that is not from us is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

NOTHING = "\N{EN DASH}"
UNITS = (
    (86_400 * 2, 86_400, gettext_lazy("%d d")),
    (3600 * 2, 3600, gettext_lazy("%d h")),
    (60 * 2, 60, gettext_lazy("%d min")),
    (0, 1, gettext_lazy("%d s")),
)


class Section(NamedTuple):
    """A part of an object's page below its fields."""

    title: str
    content: SafeString


@lru_cache(maxsize=1024)  # lists show the same few of them on every row
def label(text: str, variant: str = "", *, title: str = "") -> SafeString:
    """A coloured word. Variants: ``info``, ``primary``, ``success``, ``warning``, ``danger``, or none."""
    context = {"text": text, "variant": variant, "label_title": title, "size": "md"}
    return SafeString(render_to_string("unfold/helpers/label.html", context).strip())


def anchor(url: str, text: str) -> SafeString:
    """A link."""
    return format_html('<a class="console-link" href="{}">{}</a>', url, text)


def anchors(links: Iterable[tuple[str, str]]) -> SafeString:
    """Links beside each other, each a pair of address and text; a dash when there is none."""
    return format_html_join(
        SafeString(" · "), '<a class="console-link" href="{}">{}</a>', links
    ) or SafeString(NOTHING)


def code(text: str) -> SafeString:
    """An id or a name, in the typeface of ids and names."""
    return format_html('<code class="console-code">{}</code>', text) if text else SafeString(NOTHING)


def shortened(text: str, length: int = 80) -> SafeString:
    """The beginning of a text, at most so many characters; the whole of it on hover."""
    if not text:
        return SafeString(NOTHING)
    return format_html(
        '<span class="console-short" title="{}">{}</span>',
        text,
        Truncator(" ".join(text.split())).chars(length),
    )


def long_text(text: str) -> SafeString:
    """A text with its line breaks."""
    return format_html('<span class="console-text">{}</span>', text) if text else SafeString(NOTHING)


def moment(at: datetime | None) -> SafeString:
    """A time to the second; the exact instant on hover."""
    if at is None:
        return SafeString(NOTHING)
    return _time(at, date_format(timezone.localtime(at), "Y-m-d H:i:s"), "moment")


def clock(at: datetime, *, seconds: bool = True) -> SafeString:
    """The time of day; the exact instant on hover."""
    shape = "H:i:s" if seconds else "H:i"
    return _time(at, date_format(timezone.localtime(at), shape), "second" if seconds else "minute")


def distance(at: datetime | None) -> SafeString:
    """How long ago a time is, or in how long it will be; the instant on hover."""
    return due(at, _("in %s"), _("%s ago"))


def due(at: datetime | None, ahead: str, past: str) -> SafeString:
    """The distance to a time, in words for either side of it, where ``%s`` stands for it; the instant on hover."""
    if at is None:
        return SafeString(NOTHING)
    seconds = (at - timezone.now()).total_seconds()
    return _time(at, (ahead if seconds > 0 else past).replace("%s", duration(abs(seconds))))


def duration(seconds: float) -> str:
    """A span of time in its largest fitting unit, such as ``12 s`` or ``3 h``."""
    _least, unit, text = next(entry for entry in UNITS if seconds >= entry[0] or entry[0] == 0)
    return str(text) % int(seconds // unit)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> SafeString:
    """Rows under headers; on a narrow screen each row is a card. ``empty`` is said when there are none."""
    context = {
        "headers": headers,
        "rows": [list(zip(headers, row, strict=True)) for row in rows],
        "empty": empty,
    }
    return SafeString(render_to_string("admin/console/table.html", context))


def _time(at: datetime, text: str, shape: str = "") -> SafeString:
    """A time; a ``shape`` has the script show it so, in the reader's zone."""
    exact = timezone.localtime(at).isoformat(sep=" ", timespec="milliseconds")
    return format_html(
        '<time class="console-time" datetime="{}" title="{}"{}>{}</time>',
        at.isoformat(),
        exact,
        format_html(' data-moment="{}"', shape) if shape else "",
        text,
    )
