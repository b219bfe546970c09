"""Panels of the dashboard::

    @panel("sagas", _("Sagas"), permission="saga.view_saga", template="admin/console/panels/figures.html")
    def sagas(request): ...

A panel reads what it shows within :data:`MOST_SECONDS` for each statement; one that cannot says so, and the others
are not harmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest

from outbox.admin.bounded import TookTooLong, time_limit
from outbox.conf import conf

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Lazy

    Text = str | Lazy

MOST_SECONDS = 0.5
MOST_COUNTED = 50_000
"""Rows that a figure counts one by one; beyond, the page says "50,000+"."""


class Figure(NamedTuple):
    """A number with its name, and where its rows are.

    Args:
        name: what is counted.
        value: as it is shown.
        url: of the list behind it; empty where there is none.
        variant: its colour: ``success``, ``warning``, ``danger`` or none.
        aside: a word more.
        key: makes its element's id, so that the keyboard's focus outlives a refresh.
    """

    name: Text
    value: str
    url: str = ""
    variant: str = ""
    aside: str = ""
    key: str = ""


Read = Callable[[HttpRequest], dict[str, Any]]


@dataclass(frozen=True)
class Panel:
    """A part of the dashboard.

    Args:
        name: in its address.
        title: its heading.
        permission: who sees it.
        template: shows what ``read`` returns.
        read: asks for the figures.
        order: of the panels on the page: the least comes first.
        every: seconds between two refreshes.
        is_lazy: whether the page comes without it, and it follows. It asks something else than the database, which is
            not to wait in a transaction meanwhile.
        is_wide: whether it takes a whole row.
    """

    name: str
    title: Text
    permission: str
    template: str
    read: Read
    order: int = 100
    every: int = 5
    is_lazy: bool = False
    is_wide: bool = False

    def content(self, request: HttpRequest) -> dict[str, Any]:
        """What its template shows; that it took too long, where it did."""
        if self.is_lazy:
            return self.read(request)
        try:
            with time_limit(conf().DATABASE, MOST_SECONDS):
                return self.read(request)
        except TookTooLong:
            return {"took_too_long": True}


_panels: dict[str, Panel] = {}


def panel(name: str, title: Text, **options: Any) -> Callable[[Read], Read]:
    """Decorator: register a function that reads a panel's content. The options are those of :class:`Panel`."""

    def register(read: Read) -> Read:
        _panels[name] = Panel(name, title, read=read, **options)
        return read

    return register


def panels_for(request: HttpRequest) -> Iterator[Panel]:
    """Those that this user may see, in their order."""
    ordered = sorted(_panels.values(), key=lambda found: found.order)
    return (found for found in ordered if request.user.has_perm(found.permission))


def panel_of(name: str) -> Panel | None:
    """The panel of that name."""
    return _panels.get(name)


def counted(rows: QuerySet[Any], most: int = MOST_COUNTED) -> tuple[int, str]:
    """How many rows there are, counted up to a bound, and how that is written."""
    number = rows.order_by()[:most].count()
    return number, written(number, most)


def written(number: int, most: int = MOST_COUNTED) -> str:
    """A number that was counted up to a bound."""
    return f"{number:,}" + ("+" if number == most else "")
