"""An order's news as server-sent events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError, connections
from django.http import HttpResponse
from django.test import AsyncClient

from orders.models import Order
from orders.web import lookout
from orders.web.views import live
from tests.harness import fulfilling, shop

PATIENCE = 15

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Order:
    """Ada's order, just placed. Looked at often, so that the tests are quick."""
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 0.05)
    shop.product("TEA")
    return shop.order()


def run(scenario: Callable[[AsyncClient], Awaitable[None]], name: str = "ada") -> None:
    """Play it with a browser of that customer; nothing of it is left when it ends."""

    async def play() -> None:
        client = AsyncClient()
        await client.aforce_login(await User.objects.aget(username=name))
        async with asyncio.timeout(PATIENCE):
            await scenario(client)
        assert not lookout.lookout.watches

    shop.customer(name)
    asyncio.run(play())


class Stream:
    """The events of an answer."""

    def __init__(self, response: Any) -> None:
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        self._chunks: AsyncIterator[bytes] = response.streaming_content.__aiter__()

    async def next(self) -> tuple[str, str, str]:
        """The next event's id, type and data."""
        while True:
            chunk = (await anext(self._chunks)).decode()
            assert chunk.endswith("\n\n")
            if not chunk.startswith("retry:"):
                fields = re.findall(r"^(\w+): ?(.*)$", chunk, re.MULTILINE)
                data = "\n".join(value for name, value in fields if name == "data")
                return dict(fields).get("id", ""), dict(fields)["event"], data

    async def close(self) -> None:
        """As Django does when the browser goes away: cancel whatever waits for the next chunk."""
        while True:
            waiting = asyncio.ensure_future(self.is_over())
            ended, _ = await asyncio.wait([waiting], timeout=0.02)
            if not ended or waiting.result():
                break
        waiting.cancel()
        await asyncio.wait([waiting])

    async def is_over(self) -> bool:
        """Whether it has ended by itself."""
        try:
            await anext(self._chunks)
        except StopAsyncIteration:
            return True
        return False


def path(order: Order) -> str:
    """Where its events are."""
    return f"/orders/{order.id}/events"


@sync_to_async
def attempt(order: Order, step: str) -> None:
    """A worker's work."""
    try:
        fulfilling.attempt(order, step)
    finally:
        connections.close_all()


def test_the_story_is_told_as_it_goes(order: Order) -> None:
    """How it is now, then each change, with ids that grow; after the last one the stream ends."""

    async def scenario(client: AsyncClient) -> None:
        stream = Stream(await client.get(path(order)))
        first, event, html = await stream.next()
        assert event == "progress"
        assert "We are putting your items aside." in html
        ids = [first]
        for step, words in (
            ("inventory", "The payment is under way."),
            ("payment", "Your payment went through."),
            ("shipping", "Your parcel is on its way."),
        ):
            await attempt(order, step)
            while words not in html:
                number, _, html = await stream.next()
                ids.append(number)
        assert [int(i) for i in ids] == sorted({int(i) for i in ids})
        assert await stream.is_over()

    run(scenario)


def test_a_browser_that_comes_again_is_told_what_it_missed(order: Order) -> None:
    """And only that: ``Last-Event-ID`` says what it has. What has ended sends it away for good."""

    async def scenario(client: AsyncClient) -> None:
        stream = Stream(await client.get(path(order)))
        first, _, _ = await stream.next()
        await stream.close()
        for step in ("inventory", "payment"):
            await attempt(order, step)
        stream = Stream(await client.get(path(order), headers={"Last-Event-ID": first}))
        second, _, html = await stream.next()
        assert "Your payment went through." in html
        await stream.close()

        stream = Stream(await client.get(f"{path(order)}?seen={second}"))
        await attempt(order, "shipping")
        last, _, html = await stream.next()
        assert "Your parcel is on its way." in html
        assert await stream.is_over()
        assert (await client.get(path(order), headers={"Last-Event-ID": last})).status_code == 204

    run(scenario)


def test_silence_is_broken_by_a_sign_of_life_and_ends(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the page knows that the line holds; and no stream lasts for ever."""
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(live, "LONGEST_SECONDS", 0.3)

    async def scenario(client: AsyncClient) -> None:
        stream = Stream(await client.get(path(order)))
        await stream.next()
        assert (await stream.next())[1] == "beat"
        while not await stream.is_over():
            pass

    run(scenario)


def test_the_database_may_go_and_come_back(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking goes on: what happened meanwhile is told as soon as it can be."""
    real, asked = lookout.marks_of, []

    def away_at_first(ids: Any) -> Any:
        asked.append(ids)
        if len(asked) < 3:
            raise OperationalError("gone")
        return real(ids)

    monkeypatch.setattr(lookout, "marks_of", away_at_first)

    async def scenario(client: AsyncClient) -> None:
        stream = Stream(await client.get(path(order)))
        await stream.next()
        await attempt(order, "inventory")
        assert "The payment is under way." in (await stream.next())[2]
        await stream.close()

    run(scenario)


def test_one_look_serves_all(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pages are open, the database is asked once at a time, about all of them."""
    asked: list[set[Any]] = []
    real = lookout.marks_of
    monkeypatch.setattr(lookout, "marks_of", lambda ids: (asked.append(set(ids)), real(ids))[1])
    other = shop.order()

    async def scenario(client: AsyncClient) -> None:
        streams = [Stream(await client.get(path(o))) for o in (order, other, order)]
        for stream in streams:
            await stream.next()
        waiting = [asyncio.ensure_future(stream.next()) for stream in streams]
        await attempt(order, "inventory")
        await attempt(other, "inventory")
        await asyncio.gather(*waiting)
        for stream in streams:
            await stream.close()

    run(scenario)
    assert {order.id, other.id} in asked
    assert all(len(ids) <= 2 for ids in asked)


def test_there_are_only_so_many(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 for one too many, of a customer or of all: that page asks again and again instead."""

    async def scenario(client: AsyncClient) -> None:
        stream = Stream(await client.get(path(order)))
        await stream.next()
        waiting = asyncio.ensure_future(stream.next())
        await asyncio.sleep(0)
        for limit in ("MOST_STREAMS", "MOST_STREAMS_OF_ONE"):
            with monkeypatch.context() as patch:
                patch.setattr(live, limit, 1)
                refused = await client.get(path(order))
                assert refused.status_code == 503
                assert refused.headers["Retry-After"]
        await attempt(order, "inventory")
        await waiting
        await stream.close()

    run(scenario)


def test_they_are_for_the_customer_alone(order: Order) -> None:
    """403 for strangers, 404 for other customers and for orders that do not exist."""

    async def scenario(client: AsyncClient) -> None:
        assert (await client.get(path(order))).status_code == 404
        answer: HttpResponse = await AsyncClient().get(path(order))  # type: ignore[assignment]
        assert answer.status_code == 403

    run(scenario, "bob")


def test_they_speak_the_readers_language(order: Order) -> None:
    """As the page does, from the first event to the last."""

    async def scenario(client: AsyncClient) -> None:
        stream = Stream(await client.get(path(order), headers={"Accept-Language": "ja"}))
        assert "在庫" in (await stream.next())[2]
        await attempt(order, "inventory")
        assert "在庫" in (await stream.next())[2]
        await stream.close()

    run(scenario)


def test_a_stream_holds_no_connection_to_the_database(order: Order) -> None:
    """While it waits: as many as before it came."""

    @sync_to_async
    def others() -> int:
        """Connections to this database, this one apart."""
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                return int(cursor.fetchone()[0])
        finally:
            connections.close_all()

    async def scenario(client: AsyncClient) -> None:
        before = await others()
        streams = [Stream(await client.get(path(order))) for _ in range(5)]
        for stream in streams:
            await stream.next()
        waiting = [asyncio.ensure_future(stream.next()) for stream in streams]
        seen = [await others() for _ in range(5)]
        await attempt(order, "inventory")
        await asyncio.gather(*waiting)
        for stream in streams:
            await stream.close()
        assert min(seen) <= before

    run(scenario)
