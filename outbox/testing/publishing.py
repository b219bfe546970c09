"""What was published, as a test wants to know it."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from celery import Task, current_app
from kombu.utils.json import dumps, loads

from outbox.conf import conf
from outbox.events import event_class_type, event_type
from outbox.models import Message
from outbox.versions import load


@dataclass(frozen=True)
class Published:
    """An event, a command or a task call that was published.

    Args:
        name: the event's or the task's.
        fields: the event's fields, or the task's arguments by their names.
        event: the event itself; ``None`` for a command or a task.
        message: its row; for an event with several subscribers that of the first one.
    """

    name: str
    fields: Mapping[str, Any]
    event: Any
    message: Message

    def __str__(self) -> str:
        return f"{self.name}({_listed(self.fields)})"


def published(what: type | str | Task | None = None) -> list[Published]:
    """All that was published (and not rolled back), in the order of publishing.

    Args:
        what: only these: an event's class or name, a task or its name.

    Not seen: an event that nobody subscribes to. It makes no row.
    """
    rows = Message.objects.using(conf().DATABASE).order_by("occurred_at", "id")
    if what is not None:
        rows = rows.filter(type=_name(what))
    return [_published(row) for row in _once_per_event(list(rows))]


def assert_published(what: type | str | Task, *, times: int | None = None, **fields: Any) -> Published:
    """That it was published with these values; returns the first that fits.

    Args:
        what: an event's class or name, a task or its name.
        times: how often exactly; by default at least once.
        fields: values that it must have: the event's fields, or the task's arguments by name.

    Raises:
        AssertionError: it was not; says what was published instead.
    """
    fitting = [found for found in published(what) if _fits(found, fields)]
    if len(fitting) == times or (times is None and fitting):
        return fitting[0] if fitting else _nothing(_name(what))
    often = f"was published {len(fitting)} times, not {times}" if fitting else "was not published"
    raise AssertionError(f"{_name(what)}({_listed(fields)}) {often}. Published: {_all_published()}.")


def assert_nothing_published(what: type | str | Task | None = None) -> None:
    """That none of these was published, or nothing at all.

    Raises:
        AssertionError: something was; says what.
    """
    if found := published(what):
        raise AssertionError(f"Published: {', '.join(map(str, found))}.")


def _once_per_event(rows: list[Message]) -> list[Message]:
    """One row for each publish: of an event's rows those of the consumer that has most (it has been there longest)."""
    by_consumer: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        by_consumer[row.type][row.consumer] += 1
    chosen = {type_: max(counts, key=lambda name: counts[name]) for type_, counts in by_consumer.items()}
    return [row for row in rows if row.consumer == chosen[row.type]]


def _published(row: Message) -> Published:
    kind = event_type(row.type)
    if kind is not None:
        event = load(kind, row.payload, row.headers.get("version"))
        return Published(row.type, _fields(event), event, row)
    if "celery" not in row.headers:
        return Published(row.type, row.payload, None, row)
    call = loads(dumps(row.payload))  # type: ignore[no-untyped-call]  # kombu ships no types
    return Published(row.type, _arguments(row.type, call["args"], call["kwargs"]), None, row)


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in get_type_hints(type(event)) if hasattr(event, name)}


def _arguments(task: str, args: list[Any], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """A call's arguments by name, where the task is known here."""
    if task not in current_app.tasks:
        return {**{str(position): value for position, value in enumerate(args)}, **kwargs}
    bound = inspect.signature(current_app.tasks[task].run).bind(*args, **kwargs)
    return bound.arguments


def _name(what: type | str | Task) -> str:
    if isinstance(what, str):
        return what
    return str(what.name) if isinstance(what, Task) else event_class_type(what).name


def _fits(found: Published, fields: Mapping[str, Any]) -> bool:
    return all(name in found.fields and found.fields[name] == value for name, value in fields.items())


def _nothing(name: str) -> Published:
    return Published(name, {}, None, Message())


def _all_published() -> str:
    return ", ".join(map(str, published())) or "nothing"


def _listed(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in fields.items())
