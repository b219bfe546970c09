"""Links from messages to what they belong to.

The outbox knows neither sagas nor orders; they register here what they can link to::

    @message_links
    def saga_step(request, message): ...

Each provider checks the reader's permissions itself and yields nothing that the reader may not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from outbox.models import Message


class Link(NamedTuple):
    """Where to, and what it says."""

    url: str
    text: str


MessageLinks = Callable[[HttpRequest, Message], Iterable[Link]]
CorrelationLinks = Callable[[HttpRequest, str], Iterable[Link]]

_of_messages: list[MessageLinks] = []
_of_correlations: list[CorrelationLinks] = []


def message_links(provider: MessageLinks) -> MessageLinks:
    """Decorator: links for one message, such as to the saga step that it runs."""
    _of_messages.append(provider)
    return provider


def correlation_links(provider: CorrelationLinks) -> CorrelationLinks:
    """Decorator: links for a correlation id, such as to the order that it names."""
    _of_correlations.append(provider)
    return provider


def messages_url(term: str = "", **filters: str) -> str:
    """The list of messages: searched for an id, a correlation id or words, and filtered."""
    query = urlencode({**({"q": term} if term else {}), **filters})
    return f"{reverse('admin:outbox_message_changelist')}?{query}"


def links_of_message(request: HttpRequest, message: Message) -> Iterator[Link]:
    """What a message links to: by itself, by its correlation id, and, once it was sent, its task in Flower."""
    for provide in _of_messages:
        yield from provide(request, message)
    yield from links_of_correlation(request, message.correlation_id)
    if message.sent_at or message.consumed_at:
        yield from flower_links(message.id)


def links_of_correlation(request: HttpRequest, correlation_id: str) -> Iterator[Link]:
    """What a correlation id links to."""
    if correlation_id:
        for provide in _of_correlations:
            yield from provide(request, correlation_id)


def flower_links(task_id: UUID | str) -> Iterator[Link]:
    """The task in Flower, where ``settings.FLOWER_URL`` is set. A message's id is its task's."""
    if base := getattr(settings, "FLOWER_URL", ""):
        yield Link(f"{base.rstrip('/')}/task/{task_id}", "Flower")
