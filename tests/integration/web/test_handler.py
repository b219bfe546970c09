"""How web requests run: synchronous ones in a few threads that stay."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from project.handler import ThreadedHandler

seen: list[str] = []
at_work = threading.Semaphore(0)
go_on = threading.Event()


def which_thread(request: HttpRequest) -> HttpResponse:
    """Notes its thread, and answers with what was sent."""
    seen.append(threading.current_thread().name)
    return HttpResponse(request.body, status=201, headers={"X-Seen": "yes"})


def waits(request: HttpRequest) -> HttpResponse:
    """Waits until the test lets it go."""
    seen.append(threading.current_thread().name)
    at_work.release()
    assert go_on.wait(20)
    return HttpResponse()


async def on_the_loop(request: HttpRequest) -> StreamingHttpResponse:
    """An asynchronous view with an asynchronous stream."""

    async def parts() -> Any:
        yield threading.current_thread().name
        await asyncio.sleep(0)
        yield "!"

    return StreamingHttpResponse(parts())


def streams(request: HttpRequest) -> StreamingHttpResponse:
    """A synchronous stream, such as a file."""
    return StreamingHttpResponse(iter([b"a", b"b"]))


def reads_late(request: HttpRequest) -> HttpResponse:
    """Reads what was sent when the test lets it go."""
    at_work.release()
    assert go_on.wait(20)
    try:
        seen.append(request.body.decode())
    finally:
        at_work.release()
    return HttpResponse()


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The shop's own page needs the shop's addresses."""
    return HttpResponse(status=404)


urlpatterns = [
    path("thread", which_thread),
    path("waits", waits),
    path("loop", on_the_loop),
    path("streams", streams),
    path("late", reads_late),
]


@pytest.fixture
def handler() -> Iterator[ThreadedHandler]:
    """With two threads, and this module's views."""
    seen.clear()
    go_on.clear()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        yield ThreadedHandler(2)
    go_on.set()


async def ask(
    handler: ThreadedHandler, where: str, body: bytes = b"", *, gone: bool = False
) -> tuple[int, dict[bytes, bytes], bytes]:
    """One request as a server sends it, in two parts; returns status, headers and body. ``gone``: it takes none."""
    incoming: list[dict[str, Any]] = [
        {"type": "http.request", "body": body[:2], "more_body": True},
        {"type": "http.request", "body": body[2:]},
    ]
    outgoing: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if gone:
            raise ConnectionResetError
        outgoing.append(message)

    headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": where, "query_string": b"", "headers": headers}
    await handler(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in outgoing[1:])
    return outgoing[0]["status"], dict(outgoing[0]["headers"]), content


async def in_time(semaphore: threading.Semaphore) -> None:
    """Wait for a view's word, with the event loop free for others."""
    assert await asyncio.to_thread(semaphore.acquire, True, 20)


def test_a_synchronous_view_runs_in_a_thread_that_stays(handler: ThreadedHandler) -> None:
    """One after the other, requests are served by the same thread: its connection to the database stays, too."""

    async def several() -> list[Any]:
        return [await ask(handler, "/thread", b"hello") for _ in range(3)]

    for status, headers, body in asyncio.run(several()):
        assert (status, headers[b"X-Seen"], body) == (201, b"yes", b"hello")
    assert len(set(seen)) == 1
    assert seen[0].startswith("request")


def test_a_burst_waits_for_a_thread(handler: ThreadedHandler) -> None:
    """As many at once as there are threads; the others are served afterwards, none is refused."""

    async def burst() -> list[Any]:
        answers = asyncio.gather(*(ask(handler, "/waits") for _ in range(5)))
        for _ in range(2):
            await in_time(at_work)
        assert len(seen) == 2
        go_on.set()
        return await answers

    assert [status for status, _, _ in asyncio.run(burst())] == [200] * 5
    assert len(set(seen)) == 2


def test_an_asynchronous_view_takes_no_thread(handler: ThreadedHandler) -> None:
    """An open stream of events holds no thread: it runs on the event loop."""
    _, _, body = asyncio.run(ask(handler, "/loop"))

    assert body.decode() == f"{threading.current_thread().name}!"


def test_a_synchronous_stream_arrives_whole(handler: ThreadedHandler) -> None:
    """As files do."""
    with pytest.warns(Warning, match="must consume synchronous iterators"):
        assert asyncio.run(ask(handler, "/streams"))[2] == b"ab"


def test_what_a_client_does_not_take_is_closed(handler: ThreadedHandler) -> None:
    """A stream's connections and files are free again, in a thread of the pool, when its client has gone."""
    ended: list[str] = []

    def note(**_: Any) -> None:
        ended.append(threading.current_thread().name)

    request_finished.connect(note)
    try:
        with pytest.raises(ConnectionResetError):
            asyncio.run(ask(handler, "/streams", gone=True))
    finally:
        request_finished.disconnect(note)
    assert len(ended) == 1
    assert ended[0].startswith("request")


def test_a_request_that_is_cancelled_keeps_its_body(handler: ThreadedHandler) -> None:
    """Its thread runs to its end, and reads what was sent until then."""

    async def cancel() -> None:
        request = asyncio.create_task(ask(handler, "/late", b"hello"))
        await in_time(at_work)
        request.cancel()
        await asyncio.wait([request], timeout=0.1)  # what a cancelled request does at once is done
        go_on.set()
        await in_time(at_work)
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(cancel())
    assert seen == ["hello"]


def test_what_is_not_found_is_answered(handler: ThreadedHandler) -> None:
    """Also where no view is found to ask whether it is asynchronous."""
    assert asyncio.run(ask(handler, "/nowhere"))[0] == 404
