"""How web requests run: in a few threads that stay, and what is asynchronous on the event loop."""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from inspect import iscoroutinefunction
from typing import IO, Any

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver, get_resolver, get_urlconf, set_script_prefix


class ThreadedHandler(ASGIHandler):
    """Django's ASGI handler, but synchronous views run in a pool of threads, whole requests at a time.

    Django's own makes a thread and a database connection object for each request, and changes between that thread and
    the event loop four times in it: a third of the CPU that placing an order takes. And as it has no bound, a burst
    takes connections that are not there. Here a burst waits for a thread, first come, first served. A few are best:
    they share one interpreter, and the more of them want it, the more of its time goes into handing it over.

    Args:
        threads: how many requests are at work at the same time; those on the event loop do not count.

    Not guaranteed: that a client which goes away stops its synchronous request; as in Django it runs to its end, and
    what it holds is closed then.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._synchronous = BaseHandler()
        self._synchronous.load_middleware()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http" or _is_asynchronous(scope["path"]):
            await super().__call__(scope, receive, send)
            return
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body):
            work = self._in_thread(self._respond, scope, body)
            try:
                await self.send_response(await asyncio.shield(work), send)
            finally:
                response = await work  # also when this is cancelled: until then, the thread reads the body
                if response.streaming:
                    await self._in_thread(response.close)

    def _in_thread(self, work: Any, *args: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(work, *args))

    def _respond(self, scope: Any, body: IO[bytes]) -> HttpResponseBase:
        """The whole request, in one thread; what is not streamed is closed here, where its connections are."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request: Any
        request, refusal = self.create_request(scope, body)
        response: HttpResponseBase = refusal or self._synchronous.get_response(request)
        response._handler_class = type(self)  # type: ignore[attr-defined]  # whom its end is told of
        if not response.streaming:
            response.close()
        return response


def _is_asynchronous(path: str) -> bool:
    return _leads_to_coroutine(get_resolver(get_urlconf()), path)


@functools.lru_cache(maxsize=1000)  # Django looks it up again, and that takes as long as a small query
def _leads_to_coroutine(resolver: URLResolver, path: str) -> bool:
    try:
        return iscoroutinefunction(resolver.resolve(path).func)
    except Resolver404:
        return False
