"""Personal data in payloads: said once where it is declared, and hidden from those who need not see it.

On an event's field or a task's parameter::

    @event("crm.customer_moved")
    @dataclass(frozen=True)
    class CustomerMoved:
        customer_id: UUID
        address: Personal[str]

    @shared_task
    def send_letter(letter_id: str, recipient: Personal[str]): ...

and for what has no declaration of its own (results, contexts of sagas, headers) by name, at whatever depth, in
``settings.OUTBOX["PERSONAL_FIELDS"]``.

It is the server that hides: what a reader may not see is not in the page. The rows themselves stay as they are,
because consumers need them; keep ids in messages and personal data in their own tables where you can.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, TypeVar, get_type_hints

from celery import current_app

from outbox.conf import conf
from outbox.events import event_class

HIDDEN = "•••"
SHORTEST = 3
"""Characters of a value that is looked for in texts: shorter ones would be found everywhere."""
EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
REPRESENTATIONS = ("argsrepr", "kwargsrepr")
"""Headers of Celery that repeat the arguments as texts."""


class _Mark:
    """Marks a type as personal data."""


T = TypeVar("T")
Personal: TypeAlias = Annotated[T, _Mark]


@dataclass(frozen=True)
class Mask:
    """Hides the personal data of one message.

    Args:
        names: of the members that are personal.
        values: what stood there, so that it is also hidden in texts, such as errors that quote it.
        positions: of the personal ones among a durable task's positional arguments.
    """

    names: frozenset[str]
    values: tuple[str, ...] = ()
    positions: frozenset[int] = frozenset()

    def payload(self, payload: Any) -> Any:
        """A copy of a message's payload with every personal member hidden."""
        hidden = self.value(payload)
        if self.positions and isinstance(hidden, dict):
            args = hidden.get("args", [])
            hidden["args"] = [HIDDEN if n in self.positions else arg for n, arg in enumerate(args)]
        return hidden

    def value(self, value: Any) -> Any:
        """A copy of a JSON value with every personal member hidden, at whatever depth."""
        if isinstance(value, Mapping):
            return {key: self._member(str(key), member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(member) for member in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """A text without the personal values of the message, and without anybody's e-mail address."""
        for value in self.values:
            text = text.replace(value, HIDDEN)
        return EMAIL.sub(HIDDEN, text) if "@" in text else text

    def representation(self, text: str) -> str:
        """A value as JSON or as Python writes it; hidden as a whole where it is neither."""
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(text)
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
            inner = self.representation(value) if isinstance(value, str) else self.value(value)
            return json.dumps(inner, ensure_ascii=False, default=str)
        return HIDDEN

    def _member(self, name: str, value: Any) -> Any:
        if value is not None and (name in REPRESENTATIONS or name.lower() in self.names):
            return HIDDEN
        return self.value(value)


def shown_to_watchers(type_: str, payload: str, *, consumer: str = "") -> str:
    """A message's payload for whoever watches tasks (Flower, results): without personal data, whoever it is.

    Where nothing is hidden this costs next to nothing: the payload is not parsed.

    Args:
        type_: of the message: an event or a task.
        payload: as JSON.
        consumer: the task that consumes it.

    Returns:
        The same text, if nothing in it is personal; else JSON again.
    """
    if not may_be_personal(type_, payload, consumer=consumer):
        return payload
    value = json.loads(payload)
    return json.dumps(mask_of(type_, value, consumer=consumer).payload(value), ensure_ascii=False)


def may_be_personal(type_: str, payload: str, *, consumer: str = "") -> bool:
    """Whether it takes a closer look to say that a payload, as JSON, holds nothing personal."""
    suspects = _suspects(type_, consumer, conf().PERSONAL_FIELDS)
    if "@" in payload or suspects is None:
        return True
    text = payload.lower() if suspects else ""
    return any(name in text for name in suspects)


def mask_of(type_: str, payload: Any = None, *, consumer: str = "") -> Mask:
    """The mask of a message, or of a task's result.

    Args:
        type_: of the message: an event or a task.
        payload: as it is in the row.
        consumer: the task that consumes it, whose parameters may say more.
    """
    names = frozenset(name.lower() for name in conf().PERSONAL_FIELDS) | declared(type_) | declared(consumer)
    positional = _named_arguments(consumer or type_, payload)
    found = {text for text in _values({"": payload, **positional}, names) if len(text) >= SHORTEST}
    positions = frozenset(n for n, name in enumerate(positional) if name.lower() in names)
    return Mask(names, tuple(sorted(found, key=len, reverse=True)), positions)


@lru_cache(maxsize=1024)
def declared(type_: str) -> frozenset[str]:
    """The personal members that an event's class or a task's signature declares, in lower case."""
    source = event_class(type_) or _function(type_)
    if source is None:
        return frozenset()
    try:
        hints = get_type_hints(source, include_extras=True)
    except (NameError, TypeError):  # names that exist for type checkers only
        return frozenset()
    return frozenset(
        name.lower() for name, hint in hints.items() if _Mark in getattr(hint, "__metadata__", ())
    )


@lru_cache(maxsize=1024)
def _suspects(type_: str, consumer: str, by_name: tuple[str, ...]) -> frozenset[str] | None:
    """Names to look for in payloads of a type; ``None``: it has personal members.

    Also where no member of today's class or signature has such a name: a payload of another version may have one.
    """
    names = frozenset(name.lower() for name in by_name) | declared(consumer)
    source = event_class(type_) or _function(type_)
    members = inspect.signature(source).parameters if source is not None else ()
    return None if declared(type_) or names & {name.lower() for name in members} else names


def _function(task_name: str) -> Callable[..., Any] | None:
    task = current_app.tasks.get(task_name)
    return task.run if task is not None else None


def _named_arguments(task_name: str, payload: Any) -> dict[str, Any]:
    """The positional arguments of a durable task's payload, by the names of its parameters."""
    function = _function(task_name)
    if function is None or not isinstance(payload, Mapping) or not isinstance(payload.get("args"), list):
        return {}
    return dict(zip(inspect.signature(function).parameters, payload["args"], strict=False))


def _values(value: Any, names: Iterable[str], *, hidden: bool = False) -> Iterator[str]:
    """Every text and number below a personal member."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _values(member, names, hidden=hidden or str(key).lower() in names)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _values(member, names, hidden=hidden)
    elif hidden and isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
