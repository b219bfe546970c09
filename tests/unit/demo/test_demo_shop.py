"""The customer's side of the API, against a small HTTP server that answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID, uuid4

import pytest

from project.demo.errors import DemoError
from project.demo.placing import Placing, baskets
from project.demo.shop import Shop
from tests.harness.waiting import wait_until

Answer = tuple[int, object]


class Answering(ThreadingHTTPServer):
    """Gives `answers` in turn, the last one for ever; keeps method, headers and body of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str], object]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """The tests read the requests, not a log."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            entry = (self.path, dict(self.headers), json.loads(body) if body else None)
            self.server.requests.append(entry)
            answers = self.server.answers
            status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        if not status:
            return  # the connection closes without an answer
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def shop(server: Answering, stopping: threading.Event) -> Iterator[Shop]:
    with Shop(server.url, "tdk_example", stopping) as made:
        yield made


def test_an_order_is_placed_as_the_api_asks(server: Answering, shop: Shop) -> None:
    """The key as bearer token, an idempotency key, the lines; the answer's id comes back."""
    placed = uuid4()
    server.answers = [(202, {"id": str(placed)})]
    assert shop.order({"TEA": 2}) == placed
    [(path, headers, body)] = server.requests
    assert path == "/api/orders"
    assert headers["Authorization"] == "Bearer tdk_example"
    assert UUID(headers["Idempotency-Key"])
    assert isinstance(body, dict)
    assert body["lines"] == [{"sku": "TEA", "quantity": 2}]


@pytest.mark.parametrize("trouble", [(503, {}), (500, {}), (409, {}), (0, None)])
def test_trouble_is_sat_out_with_the_same_key(server: Answering, shop: Shop, trouble: Answer) -> None:
    """An overloaded shop and a lost answer are tried again, so that no second order comes of it."""
    server.answers = [trouble, (202, {"id": str(uuid4())})]
    shop.order({"TEA": 1})
    keys = [headers["Idempotency-Key"] for _, headers, _ in server.requests]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_refusal_is_told_and_not_repeated(server: Answering, shop: Shop) -> None:
    """What the shop's problem document says is the message."""
    server.answers = [(422, {"title": "Unprocessable", "detail": "There is no product 'TEA' for sale."})]
    with pytest.raises(DemoError, match=r"422 There is no product 'TEA' for sale\."):
        shop.order({"TEA": 1})
    assert len(server.requests) == 1


def test_a_shop_that_is_away_is_told(server: Answering, stopping: threading.Event) -> None:
    """After the last try (at once, when stopping) the error names the address."""
    stopping.set()
    with (
        Shop("http://127.0.0.1:9/", "tdk_example", stopping) as shop,
        pytest.raises(DemoError, match=r"The shop at http://127\.0\.0\.1:9/ gives no answer"),
    ):
        shop.order({"TEA": 1})


def test_only_what_is_there_is_ordered(server: Answering, shop: Shop) -> None:
    """Products that are sold out are passed over; a shop without any says how to fill it."""
    server.answers = [
        (200, [{"sku": "B", "available": 1}, {"sku": "C", "available": 0}, {"sku": "A", "available": 5}])
    ]
    assert shop.skus() == ["A", "B"]
    server.answers = [(200, [{"sku": "C", "available": 0}])]
    with pytest.raises(DemoError, match=r"manage\.py seed --stock"):
        shop.skus()


def test_baskets_repeat_with_the_seed() -> None:
    """The same seed chooses the same products; each basket has something in it."""
    skus = ["A", "B", "C", "D"]
    assert baskets(skus, 20, 1) == baskets(skus, 20, 1) != baskets(skus, 20, 2)
    assert all(basket and set(basket.values()) <= {1, 2} for basket in baskets(["A"], 5, None))


def test_all_are_placed_at_the_rate(server: Answering, shop: Shop, stopping: threading.Event) -> None:
    """Ten orders at 20 per second: all are placed, and the last one not before 0.45 s."""
    server.answers = [(202, {"id": str(uuid4())})]
    begin = time.monotonic()
    with Placing(shop, [{"TEA": 1}] * 10, 20.0, stopping) as placing:
        wait_until(lambda: len(placing.placed) == 10, "ten orders to be placed")
    assert time.monotonic() - begin >= 0.45
    assert len({headers["Idempotency-Key"] for _, headers, _ in server.requests}) == 10


def test_leaving_calls_off_the_rest(server: Answering, shop: Shop, stopping: threading.Event) -> None:
    """After the block nothing more is ordered, though it would have taken minutes."""
    server.answers = [(202, {"id": str(uuid4())})]
    with Placing(shop, [{"TEA": 1}] * 100, 1.0, stopping):
        pass
    assert len(server.requests) <= 5


def test_an_order_that_cannot_be_placed_is_an_error(
    server: Answering, shop: Shop, stopping: threading.Event
) -> None:
    """The shop's refusal reaches whoever asks how many were placed."""
    server.answers = [(401, {"detail": "This API key is not known."})]
    with Placing(shop, [{"TEA": 1}], None, stopping) as placing, pytest.raises(DemoError, match="not known"):
        wait_until(lambda: placing.placed, "the refusal")
