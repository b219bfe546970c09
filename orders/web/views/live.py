"""An order's news as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.views.decorators.http import require_safe

from orders import queries
from orders.models import Order
from orders.web.lookout import Watch, lookout, reading
from orders.web.story import News, news_of
from outbox.api import DATABASE_AWAY

LONGEST_SECONDS = 300.0  # then the browser comes again, which also notices that somebody has signed out
BEAT_SECONDS = (
    10.0  # of silence, then a sign of life: proxies do not cut the line, the page knows that it holds
)
RETRY_MILLISECONDS = 1000
MOST_STREAMS = 500  # in this process, about; whoever comes then asks again and again instead
MOST_STREAMS_OF_ONE = 6


@require_safe
async def order_events(request: HttpRequest, order_id: UUID) -> HttpResponseBase:
    """News of one order, each the whole changing part of its page, until the order ends or some minutes have passed.

    ``Last-Event-ID``, which a browser sends when it comes again, or ``?seen=`` says what the page shows: it is not
    told again. 204 tells the browser not to come again.
    """
    user = await request.auser()
    if not isinstance(user, User):
        return HttpResponse(status=403)
    if _is_full(user.pk):
        return HttpResponse(status=503, headers={"Retry-After": "30"})
    read = partial(_read, user, order_id, translation.get_language() or "en")
    try:
        news = await reading(read)
    except Order.DoesNotExist:
        return HttpResponse(status=404)
    finally:
        await sync_to_async(_give_back)()  # the one that knew the user: a stream holds none
    seen = request.headers.get("Last-Event-ID") or request.GET.get("seen", "")
    if news.is_last and news.mark == seen:
        return HttpResponse(status=204)
    return StreamingHttpResponse(
        _stream(Watch(order_id, user.pk, news.mark), news, seen, read),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(watch: Watch, news: News, seen: str, read: Callable[[], News]) -> AsyncIterator[str]:
    """Ends by itself. It is cancelled when the browser goes away, and when the database does: then it comes again."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    if news.mark != seen:
        yield _event(news)
    end = asyncio.get_running_loop().time() + LONGEST_SECONDS
    with lookout.watching(watch):
        while not news.is_last and asyncio.get_running_loop().time() < end:
            try:
                await asyncio.wait_for(watch.news.wait(), BEAT_SECONDS)
            except TimeoutError:
                yield "event: beat\ndata:\n\n"
                continue
            watch.news.clear()
            try:
                news = await reading(read)
            except (*DATABASE_AWAY, Order.DoesNotExist):
                return
            watch.mark = news.mark
            yield _event(news)


def _event(news: News) -> str:
    lines = "".join(f"data: {line}\n" for line in news.html.splitlines())
    return f"id: {news.mark}\nevent: progress\n{lines}\n"


def _read(customer: User, order_id: UUID, language: str) -> News:
    with translation.override(language):
        return news_of(queries.order_of(customer, order_id))


def _give_back() -> None:
    """This thread's connection to the database."""
    connection.close()


def _is_full(customer_id: int) -> bool:
    own = sum(watch.customer_id == customer_id for watch in lookout.watches)
    return own >= MOST_STREAMS_OF_ONE or len(lookout.watches) >= MOST_STREAMS
