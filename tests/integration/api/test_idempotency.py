"""The Idempotency-Key: a request that is sent again is answered again, not done again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from threading import Barrier, Event

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from orders.models import IdempotencyRecord, Order
from orders.services.idempotency import Answer, KeyReused, StillRunning, answer_once
from outbox.api import Message
from tests.harness import shop
from tests.harness.waiting import wait_until
from tests.integration.api.conftest import BODY, Api, api_of, problem

SECONDS = 20.0


def test_the_same_key_twice_makes_one_order(api: Api) -> None:
    """The second answer is the first one again: status, body and Location, marked as replayed."""
    first, second = api.place(key="k-1"), api.place(key="k-1")

    assert Order.objects.count() == 1
    assert second.status_code == first.status_code == 202
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"


def test_a_replay_publishes_nothing(api: Api) -> None:
    """One order's messages, however often it is asked for."""
    api.place(key="k-1")
    before = Message.objects.count()
    api.place(key="k-1")

    assert Message.objects.count() == before


def test_quoted_and_bare_are_the_same_key(api: Api) -> None:
    """The draft has a quoted string; many clients send it bare."""
    api.place(key='"k-1"')
    api.place(key="k-1")

    assert Order.objects.count() == 1


def test_quotes_and_backslashes_inside_a_key_can_be_escaped(api: Api) -> None:
    """As structured headers have it."""
    api.place(key=r'"a\"b\\c"')

    assert IdempotencyRecord.objects.get().key == 'a"b\\c'


def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    """422: the first answer would be the wrong one, and a second order is not what a key is for."""
    api.place(key="k-1")
    other = deepcopy(BODY)
    other["lines"][0]["quantity"] = 3

    assert problem(api.place(other, key="k-1"), 422)["code"] == "idempotency_key_reused"
    assert Order.objects.count() == 1


def test_the_order_of_members_is_not_another_body(api: Api) -> None:
    """The same JSON, written differently."""
    api.place(key="k-1")
    api.place(dict(reversed(BODY.items())), key="k-1")

    assert Order.objects.count() == 1


def test_a_key_is_required(api: Api) -> None:
    """400 without one, saying how it looks."""
    told = problem(api.post("/orders", BODY), 400)

    assert told["code"] == "idempotency_key_missing"
    assert "Idempotency-Key:" in told["detail"]
    assert not Order.objects.exists()


@pytest.mark.parametrize("key", ['"unclosed', '""', "with space", '"a"; b=1', "ü", "x" * 256, r'"a\b"'])
def test_a_key_that_is_no_string_is_refused(api: Api, key: str) -> None:
    """400: a key that could be read in two ways protects nobody."""
    assert problem(api.place(key=key), 400)["code"] == "idempotency_key_invalid"


def test_customers_keys_have_nothing_to_do_with_each_other(api: Api) -> None:
    """Bob may use the key that Ada used, and gets an order of his own."""
    first, second = api.place(key="k-1"), api_of("bob").place(key="k-1")

    assert first.json()["id"] != second.json()["id"]


def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    """After a 422 the corrected request may come with the same key."""
    wrong = deepcopy(BODY)
    wrong["lines"][0]["sku"] = "NOPE"
    problem(api.place(wrong, key="k-1"), 422)

    assert api.place(key="k-1").status_code == 202


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_order(transactional_db: None) -> None:
    """Of requests with one key at the same time one places the order; the others get its answer, or 409."""
    shop.product("TEA")
    api, count = api_of("ada"), 8
    together = Barrier(count)

    def place(_: int) -> int:
        try:
            together.wait(SECONDS)
            return int(Api(api.customer, api.secret, api.client.__class__()).place(key="k-1").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        statuses = list(pool.map(place, range(count)))

    assert Order.objects.count() == 1
    assert 202 in statuses
    assert set(statuses) <= {202, 409}


class FirstRequest:
    """A first request with a key, held in the middle of its work until the test lets it go."""

    def __init__(self, customer: User, pool: ThreadPoolExecutor) -> None:
        self.customer = customer
        self.at_work, self.may_end = Event(), Event()
        self.future = pool.submit(self._run)
        assert self.at_work.wait(SECONDS)

    def _run(self) -> Answer:
        try:
            return answer_once(self.customer, "k-1", {"a": 1}, self._act)
        finally:
            connection.close()

    def _act(self) -> Answer:
        self.at_work.set()
        assert self.may_end.wait(SECONDS)
        return Answer(202, {"id": "first"}, "/there")


def never() -> Answer:
    """The effect of a request that must not have one."""
    raise AssertionError("The second request was done as well.")


def waiters() -> int:
    """How many transactions wait for an advisory lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_running_the_second_is_refused(transactional_db: None) -> None:
    """409 material: it neither waits nor acts; once the first has ended it gets that answer."""
    customer = shop.customer()
    with ThreadPoolExecutor(1) as pool:
        first = FirstRequest(customer, pool)
        try:
            with pytest.raises(StillRunning):
                answer_once(customer, "k-1", {"a": 1}, never)
        finally:
            first.may_end.set()
        answer = first.future.result(SECONDS)

    assert answer_once(customer, "k-1", {"a": 1}, never).body == answer.body
    with pytest.raises(KeyReused):
        answer_once(customer, "k-1", {"a": 2}, never)


@pytest.mark.django_db(transaction=True)
def test_replays_do_not_wait_for_each_other(transactional_db: None) -> None:
    """While one replay still holds the key, another has the kept answer, too: nobody is at work on it."""
    customer = shop.customer()
    answer = answer_once(customer, "k-1", {"a": 1}, lambda: Answer(202, {"id": "first"}))
    looking, may_end = Event(), Event()

    def other_replay() -> None:
        try:
            with transaction.atomic():
                answer_once(customer, "k-1", {"a": 1}, never)
                looking.set()
                assert may_end.wait(SECONDS)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(other_replay)
        try:
            assert looking.wait(SECONDS)
            assert answer_once(customer, "k-1", {"a": 1}, never).body == answer.body
            with pytest.raises(KeyReused):
                answer_once(customer, "k-1", {"a": 2}, never)
        finally:
            may_end.set()
        other.result(SECONDS)


@pytest.mark.django_db(transaction=True)
def test_a_second_request_can_wait_for_the_first(transactional_db: None) -> None:
    """What a form needs, whose second click is the one that the browser shows the answer of."""
    customer = shop.customer()

    def second_request() -> Answer:
        try:
            return answer_once(customer, "k-1", {"a": 1}, never, wait=True)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        first = FirstRequest(customer, pool)
        try:
            second = pool.submit(second_request)
            wait_until(waiters, "the second request to wait for the first")
        finally:
            first.may_end.set()
        assert second.result(SECONDS).location == first.future.result(SECONDS).location == "/there"


@pytest.mark.django_db(transaction=True)
def test_a_request_that_fails_keeps_no_answer(transactional_db: None) -> None:
    """The effect and its answer are one transaction: a key whose request crashed is free again."""
    customer = shop.customer()

    def crash() -> Answer:
        shop.order()
        raise ArithmeticError

    shop.product("TEA")
    with pytest.raises(ArithmeticError):
        answer_once(customer, "k-1", {"a": 1}, crash)
    assert not IdempotencyRecord.objects.exists()
    assert not Order.objects.exists()
    assert answer_once(customer, "k-1", {"a": 1}, lambda: Answer(202, {})).status_code == 202
