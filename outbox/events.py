"""Events: past-tense facts with a name, a version and a schema."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_type_hints

from django.utils.translation import gettext as _
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, ValidationError

from outbox.exceptions import InvalidEvent, OutboxError, UnknownType
from outbox.misfits import misfits

E = TypeVar("E")
Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class EventType:
    """What is known of one type of event.

    Args:
        name: as in the column ``type``, such as ``orders.order_placed``.
        version: of the schema; kept in the row's headers.
        schema: checks and converts payloads.
        optional: whether publishing it without any subscriber is all right.
        ordered_by: the field whose value is the key of its messages; empty: they have none.
        blocks_key: whether a Failed message holds back the later ones of its key.
        upcasters: what makes a payload of a version one of the next.
    """

    name: str
    version: int
    schema: TypeAdapter[Any]
    optional: bool = False
    ordered_by: str = ""
    blocks_key: bool = True
    upcasters: dict[int, Upcaster] = field(default_factory=dict)

    def dump(self, event: object) -> str:
        """An event as JSON text, checked: what is written here can be read by its consumers.

        Raises:
            InvalidEvent: a field does not have its declared type; says which.
        """
        try:
            text = self.schema.serializer.to_json(event, warnings="error")
            self.schema.validator.validate_json(text)
        except (PydanticSerializationError, ValidationError) as error:
            what = "; ".join(misfits(event)) or str(error)
            raise InvalidEvent(f"This is no {self.name} (version {self.version}): {what}.") from None
        return text.decode()

    def key_of(self, event: object) -> str:
        """The key of an event's messages."""
        return str(getattr(event, self.ordered_by)) if self.ordered_by else ""


_by_name: dict[str, EventType] = {}
_by_class: dict[type, EventType] = {}


def event(
    name: str,
    *,
    version: int = 1,
    optional: bool = False,
    ordered_by: str = "",
    when_failed: Literal["block", "pass"] = "block",
) -> Callable[[type[E]], type[E]]:
    """Class decorator: declare a frozen dataclass as an event.

    Args:
        name: what rows are called by; it stays when the class is renamed.
        version: of the schema, from 1. Raise it with a change that old payloads do not fit, and say with
            :func:`outbox.api.upcast` how they become new ones.
        optional: publishing it without any subscriber is all right.
        ordered_by: the field whose value is the key: each subscriber gets the messages of one key one after the
            other. By default in no order.
        when_failed: what a Failed message does to the later ones of its key: ``block`` (they wait until it is
            redriven or discarded) or ``pass``.

    Raises:
        OutboxError: the name is taken by another class, or an argument does not fit the class.
    """

    def declare(cls: type[E]) -> type[E]:
        if name in _by_name:
            raise OutboxError(f"The event {name!r} is declared twice.")
        if version < 1:
            raise OutboxError(f"The version of {name!r} must be 1 or more, not {version!r}.")
        if ordered_by and ordered_by not in get_type_hints(cls):
            raise OutboxError(f"{name!r} is ordered by {ordered_by!r}, which {cls.__name__} does not have.")
        if when_failed not in ("block", "pass"):
            raise OutboxError(f"when_failed of {name!r} is block or pass, not {when_failed!r}.")
        schema = TypeAdapter(cls)
        _by_name[name] = _by_class[cls] = EventType(
            name, version, schema, optional, ordered_by, when_failed == "block"
        )
        return cls

    return declare


def type_of(event: object) -> EventType:
    """The declared type of an event object.

    Raises:
        OutboxError: its class is not decorated with :func:`event`.
    """
    return event_class_type(type(event))


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


def event_class(name: str) -> type | None:
    """The class of the event of that name, if declared."""
    return next((cls for cls, kind in _by_class.items() if kind.name == name), None)


def unknown_type(name: str, known: Iterable[str]) -> UnknownType:
    """The error for a type that nobody handles, with the name that was probably meant."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    said = _("Nothing handles messages of type '%(name)s': it is no event with subscribers and no task.")
    hint = _(" Did you mean '%(name)s'?") % {"name": close[0]} if close else ""
    return UnknownType(said % {"name": name} + hint)


def all_types() -> list[EventType]:
    """All declared events."""
    return [_by_name[name] for name in sorted(_by_name)]


def known_types() -> list[str]:
    """Names of all declared events."""
    return sorted(_by_name)
