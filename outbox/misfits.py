"""Says in plain words what is wrong with an event's fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, ValidationError


def misfits(event: object) -> Iterator[str]:
    """A sentence for each field that does not have its declared type. Tells no values: they may be personal."""
    for name, declared in get_type_hints(type(event)).items():
        if hasattr(event, name) and (what := _misfit(getattr(event, name), declared)):
            yield f"{name} {what}"


def _misfit(value: Any, declared: Any) -> str:
    adapter: TypeAdapter[Any] = TypeAdapter(declared)
    wanted = declared.__name__ if isinstance(declared, type) else str(declared)
    kind = get_origin(declared) or declared  # the list of a list[str]
    try:
        adapter.validate_json(adapter.dump_json(value, warnings="error"))
    except (PydanticSerializationError, ValidationError) as error:
        if not (isinstance(kind, type) and isinstance(value, kind)):
            return f"must be {wanted}, not {type(value).__name__}"
        if isinstance(error, ValidationError):
            return f"could not be read back: {error.errors()[0]['msg']}"
        return f"must be {wanted}, and something in it is not"
    return ""
