"""The order's page, and the part of it that changes, as HTML with a mark to tell old news from new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string

from orders import queries
from orders.models import Order
from orders.progress import marks_of, progress_of
from orders.web.countries import country_name
from orders.web.wording import story_of


@dataclass(frozen=True)
class News:
    """How an order is, for a page that is open.

    Args:
        mark: how often the fulfilment has changed: it grows with every change.
        html: the part of the page that changes.
        is_last: nothing more will happen.
    """

    mark: str
    html: str
    is_last: bool


def page_of(order: Order) -> dict[str, Any]:
    """What the order's page tells, of an order read by :func:`orders.queries.order_of`."""
    mark = marks_of([order.id]).get(order.id, 0)  # first: what is read after it is at least as new
    progress = progress_of(order)
    return {
        "order": order,
        "mark": str(mark),
        "progress": progress,
        "story": story_of(order, progress),
        "country": country_name(order.country),
        "tracking_number": queries.tracking_number(order),
    }


def news_of(order: Order) -> News:
    """The part of the page that changes, with everything that must change along with it."""
    page = page_of(order)
    html = render_to_string("orders/_progress_update.html", page)
    return News(page["mark"], html, is_last=not page["story"].poll_seconds)
