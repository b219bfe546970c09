"""A test project's tasks: what people write with Celery, and knows nothing of an outbox."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from typing import Any

from celery import Celery, chain, chord, group
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, SoftTimeLimitExceeded
from redis import Redis


class Expected(Exception):
    """What a task fails with on purpose."""


def seen(app: Celery) -> list[str]:
    """What the tasks of an application noted, in order."""
    return [text.decode() for text in _redis().lrange(f"seen:{app.main}", 0, -1)]


def forget(app: Celery) -> None:
    """Begin a new list of notes."""
    _redis().delete(f"seen:{app.main}")


def _note(app: Celery, text: object) -> None:
    _redis().rpush(f"seen:{app.main}", str(text))


def _redis() -> Redis:
    return Redis.from_url(os.environ["BROKER_URL"])


def register(app: Celery) -> None:
    """Declare all tasks on an application."""
    _arithmetic(app)
    _identities(app)
    _retrying(app)
    _replacing(app)
    _failing(app)


def _arithmetic(app: Celery) -> None:
    @app.task(shared=False, name="work.add")
    def add(x: Any, y: Any = 0, z: Any = 0) -> Any:
        return x + y + z

    @app.task(shared=False, name="work.mul")
    def mul(x: int, y: int) -> int:
        return x * y

    @app.task(shared=False, name="work.xsum")
    def xsum(numbers: Iterable[Any]) -> int:
        return sum(sum(n) if isinstance(n, list) else n for n in numbers)

    @app.task(shared=False, name="work.delayed_sum")
    def delayed_sum(numbers: list[int], pause: float = 0.1) -> int:
        time.sleep(pause)
        return sum(numbers)

    @app.task(shared=False, name="work.identity")
    def identity(x: Any) -> Any:
        return x

    @app.task(shared=False, name="work.types")
    def types(*values: Any) -> list[str]:
        return [f"{type(value).__name__} {value!s}" for value in values]

    @app.task(shared=False, name="work.note")
    def note(text: Any) -> Any:
        _note(app, text)
        return text

    @app.task(shared=False, name="work.silent", ignore_result=True)
    def silent(x: Any) -> Any:
        return x

    @app.task(shared=False, name="work.foreign", accepts_foreign=True)
    def foreign(x: Any) -> Any:
        return x

    @app.task(shared=False, name="work.opted_out", durable=False)
    def opted_out(x: Any) -> Any:
        return x

    @app.task(shared=False, name="work.unencodable")
    def unencodable() -> object:
        return object()


def _identities(app: Celery) -> None:
    @app.task(shared=False, name="work.ids", bind=True)
    def ids(self: Any, i: int) -> tuple[Any, ...]:
        return self.request.root_id, self.request.parent_id, i

    @app.task(shared=False, name="work.collect_ids", bind=True)
    def collect_ids(self: Any, before: Any, i: int) -> tuple[Any, ...]:
        return before, (self.request.root_id, self.request.parent_id, i)

    @app.task(shared=False, name="work.properties", bind=True)
    def properties(self: Any) -> dict[str, Any]:
        """What a task can see of how it was called."""
        request = self.request
        return {
            "retries": request.retries,
            "timelimit": request.timelimit,
            "shadow": request.shadow,
            "tenant": (request.headers or {}).get("tenant"),
            "stamps": request.stamps,
            "stamped_headers": sorted(request.stamped_headers or []),
            "ignore_result": request.ignore_result,
            "eta": request.eta,
            "priority": request.delivery_info["priority"],
            "routing_key": request.delivery_info["routing_key"],
            "correlated": request.correlation_id == request.id,
            "argsrepr": request.argsrepr,
        }

    @app.task(shared=False, name="work.meta", bind=True)
    def meta(self: Any) -> str:
        self.update_state(state="PROGRESS", meta={"done": 1})
        return str(self.AsyncResult(self.request.id).state)


def _retrying(app: Celery) -> None:
    @app.task(shared=False, name="work.retry_once", bind=True, max_retries=1)
    def retry_once(self: Any, x: int = 0) -> Any:
        if not self.request.retries:
            raise self.retry(countdown=0.1)
        return [self.request.retries, x]

    @app.task(shared=False, name="work.retry_with", bind=True, max_retries=1)
    def retry_with(self: Any, x: int, y: int = 0) -> Any:
        if not self.request.retries:
            raise self.retry(args=(x + 1,), kwargs={"y": 5}, countdown=0.1, priority=7)
        return [x, y, self.request.delivery_info["priority"]]

    @app.task(shared=False, name="work.retry_for_ever", bind=True, max_retries=2)
    def retry_for_ever(self: Any) -> None:
        _note(app, self.request.retries)
        raise self.retry(countdown=0.05)

    @app.task(shared=False, name="work.retry_and_fail", bind=True, max_retries=1)
    def retry_and_fail(self: Any) -> None:
        raise self.retry(exc=Expected("still"), countdown=0.05)

    @app.task(shared=False, name="work.catch_the_last", bind=True, max_retries=1)
    def catch_the_last(self: Any) -> str:
        try:
            self.retry(countdown=0.05)
        except MaxRetriesExceededError:
            return "gave up"
        return "never"

    @app.task(
        shared=False,
        name="work.flaky",
        bind=True,
        autoretry_for=(Expected,),
        retry_backoff=0.05,
        retry_jitter=False,
        max_retries=3,
    )
    def flaky(self: Any, good_at: int) -> int:
        if self.request.retries < good_at:
            raise Expected(self.request.retries)
        return int(self.request.retries)


def _replacing(app: Celery) -> None:
    @app.task(shared=False, name="work.replaced_with_me")
    def replaced_with_me() -> bool:
        return True

    @app.task(shared=False, name="work.add_replaced", bind=True)
    def add_replaced(self: Any, x: int, y: int) -> None:
        raise self.replace(app.tasks["work.add"].s(x, y))

    @app.task(shared=False, name="work.replace_with_chain", bind=True)
    def replace_with_chain(self: Any, x: int) -> None:
        raise self.replace(chain(app.tasks["work.add"].s(x, 1), app.tasks["work.mul"].s(10)))

    @app.task(shared=False, name="work.replace_with_group", bind=True)
    def replace_with_group(self: Any, x: int) -> None:
        raise self.replace(group(app.tasks["work.add"].s(x, i) for i in range(3)))

    @app.task(shared=False, name="work.replace_with_chord", bind=True)
    def replace_with_chord(self: Any, x: int) -> None:
        raise self.replace(
            chord([app.tasks["work.add"].s(x, i) for i in range(3)], app.tasks["work.xsum"].s())
        )

    @app.task(shared=False, name="work.second_order_1", bind=True)
    def second_order_1(self: Any, state: int = 0) -> Any:
        _note(app, f"1: {state}")
        if not state:
            raise self.replace(
                chain(app.tasks["work.second_order_2"].s(1), app.tasks["work.second_order_1"].si(1))
            )
        return "end"

    @app.task(shared=False, name="work.second_order_2", bind=True)
    def second_order_2(self: Any, state: int) -> Any:
        _note(app, f"2: {state}")
        if state == 1:
            raise self.replace(app.tasks["work.second_order_2"].s(2))
        return state

    @app.task(shared=False, name="work.fail_replaced", bind=True)
    def fail_replaced(self: Any) -> None:
        raise self.replace(app.tasks["work.fail"].si("replaced"))

    @app.task(shared=False, name="work.build_chain", bind=True)
    def build_chain(self: Any) -> str:
        result = chain(app.tasks["work.add"].s(1, 1), app.tasks["work.note"].s()).apply_async()
        return str(result.id)

    @app.task(shared=False, name="work.add_to_chord", bind=True)
    def add_to_chord(self: Any, x: int) -> int:
        self.add_to_chord(app.tasks["work.add"].s(x, 100))
        return x


def _failing(app: Celery) -> None:
    @app.task(shared=False, name="work.fail")
    def fail(*args: Any) -> None:
        raise Expected(*args)

    @app.task(shared=False, name="work.errback_old")
    def errback_old(task_id: str) -> str:
        _note(app, f"old: {len(task_id)}")
        return task_id

    @app.task(shared=False, name="work.errback_new")
    def errback_new(request: Any, error: Any, traceback: Any) -> None:
        _note(app, f"new: {type(error).__name__} {error}")

    @app.task(shared=False, name="work.ignored", bind=True)
    def ignored(self: Any) -> None:
        self.update_state(state="MINE")
        raise Ignore

    @app.task(shared=False, name="work.rejected")
    def rejected() -> None:
        _note(app, "rejected")
        raise Reject("no", requeue=False)

    @app.task(shared=False, name="work.soft_limit", soft_time_limit=0.3)
    def soft_limit() -> str:
        try:
            time.sleep(10)
        except SoftTimeLimitExceeded:
            return "cleaned up"
        return "never"

    @app.task(
        shared=False, name="work.hard_limit_in_a_transaction", time_limit=1, consumption="transactional"
    )
    def hard_limit_in_a_transaction() -> None:
        time.sleep(20)

    @app.task(shared=False, name="work.dies", consumption="transactional")
    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @app.task(shared=False, name="work.hard_limit", time_limit=1)
    def hard_limit() -> None:
        _note(app, "began")
        time.sleep(20)
