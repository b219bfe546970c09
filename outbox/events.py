"""Events: past-tense facts with a name, a version and a schema."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter

from outbox.exceptions import OutboxError, UnknownType

E = TypeVar("E")


@dataclass(frozen=True)
class EventType:
    """What is known of one type of event.

    Args:
        name: as in the column ``type``, such as ``orders.order_placed``.
        version: of the schema; kept in the row's headers.
        schema: checks and converts payloads.
        optional: whether publishing it without any subscriber is all right.
    """

    name: str
    version: int
    schema: TypeAdapter[Any]
    optional: bool


_by_name: dict[str, EventType] = {}
_by_class: dict[type, EventType] = {}


def event(name: str, *, version: int = 1, optional: bool = False) -> Callable[[type[E]], type[E]]:
    """Class decorator: declare a frozen dataclass as an event.

    Raises:
        OutboxError: the name is taken by another class.
    """

    def declare(cls: type[E]) -> type[E]:
        if name in _by_name:
            raise OutboxError(f"The event {name!r} is declared twice.")
        _by_name[name] = _by_class[cls] = EventType(name, version, TypeAdapter(cls), optional)
        return cls

    return declare


def type_of(event: object) -> EventType:
    """The declared type of an event object.

    Raises:
        OutboxError: its class is not decorated with :func:`event`.
    """
    try:
        return _by_class[type(event)]
    except KeyError:
        raise OutboxError(
            f"{type(event).__name__} is not an event: decorate the class with @event(name)."
        ) from None


def event_class_type(cls: type) -> EventType:
    """The declared type of an event class.

    Raises:
        OutboxError: the class is not decorated with :func:`event`.
    """
    if cls not in _by_class:
        raise OutboxError(f"{cls.__name__} is not an event: decorate the class with @event(name).")
    return _by_class[cls]


def event_type(name: str) -> EventType | None:
    """The type of that name, if declared."""
    return _by_name.get(name)


def unknown_type(name: str, known: Iterable[str]) -> UnknownType:
    """The error for a type that nobody handles, with the name that was probably meant."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownType(
        f"Nothing handles messages of type {name!r}: it is no event with subscribers and no task.{hint}"
    )


def known_types() -> list[str]:
    """Names of all declared events."""
    return sorted(_by_name)
