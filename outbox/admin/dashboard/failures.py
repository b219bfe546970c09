"""What fails: dead letters and messages that are tried again, by type and by error."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin.dashboard.panels import panel
from outbox.admin.links import messages_url
from outbox.admin.rendering import NOTHING, anchor, table
from outbox.admin.states import SELECTIONS
from outbox.conf import conf
from outbox.models import Message

MOST_READ = 5_000
"""Messages of each kind that are grouped: the latest dead letters, and some of those that are tried again."""
GROUPS = 8
VARIES = re.compile(r"[\d'\"\[{(<\n]")
"""What differs from one error to the next of the same kind; a group is what stands before it."""
LONGEST = 60


@panel(
    "failures",
    gettext_lazy("Failures"),
    permission="outbox.view_message",
    order=50,
    template="admin/console/panels/failures.html",
    every=10,
    is_wide=True,
)
def failures(_request: HttpRequest) -> dict[str, Any]:
    """Two tables."""
    dead, retrying = _read("dead"), _read("retrying")
    return {
        "types": _table(_("Type"), "type", _grouped(dead, retrying, "type")),
        "errors": _table(_("Error"), "error", _grouped(dead, retrying, "error")),
        "most": f"{MOST_READ:,}" if len(dead) == MOST_READ or len(retrying) == MOST_READ else "",
    }


def kind_of(error: str) -> str:
    """The beginning of an error, up to what differs from one to the next: a part that a filter finds again."""
    return VARIES.split(error.strip(), maxsplit=1)[0][:LONGEST].strip() or error.strip()[:LONGEST]


def _read(state: str) -> list[dict[str, str]]:
    """Type and kind of error of the messages in that state."""
    rows: QuerySet[Message] = Message.objects.using(conf().DATABASE).filter(SELECTIONS[state][1])
    if state == "dead":
        rows = rows.order_by("-id")
    found = rows.values_list("type", Left("last_error", 200))[:MOST_READ]
    return [{"type": type_, "error": kind_of(error)} for type_, error in found]


def _grouped(
    dead: list[dict[str, str]], retrying: list[dict[str, str]], by: str
) -> list[tuple[str, dict[str, int]]]:
    """The largest groups, with the number in each state."""
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for state, rows in (("dead", dead), ("retrying", retrying)):
        for value, number in Counter(row[by] for row in rows).items():
            groups[value][state] = number
    return sorted(groups.items(), key=lambda group: -sum(group[1].values()))[:GROUPS]


def _table(header: str, by: str, groups: list[tuple[str, dict[str, int]]]) -> SafeString:
    rows = [
        (
            format_html('<span class="console-text">{}</span>', value or NOTHING),
            _link(by, value, "dead", numbers),
            _link(by, value, "retrying", numbers),
        )
        for value, numbers in groups
    ]
    return table((header, _("Failed"), _("Tried again")), rows, empty=_("Nothing fails."))


def _link(by: str, value: str, state: str, numbers: dict[str, int]) -> SafeString | str:
    number = numbers.get(state, 0)
    return anchor(messages_url(**{"state": state, by: value}), f"{number:,}") if number else NOTHING
