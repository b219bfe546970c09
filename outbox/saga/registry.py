"""The saga definitions of this process, by name."""

from __future__ import annotations

from outbox.saga.definition import SagaDefinition
from outbox.saga.exceptions import SagaError, UnknownSaga

_definitions: dict[str, SagaDefinition] = {}


def add(definition: SagaDefinition) -> None:
    """Make a definition known.

    Raises:
        SagaError: another definition has the name.
    """
    if definition.name in _definitions:
        raise SagaError(f"The saga {definition.name!r} is registered twice.")
    _definitions[definition.name] = definition


def definition_of(name: str) -> SagaDefinition:
    """The definition of that name.

    Raises:
        UnknownSaga: there is none.
    """
    try:
        return _definitions[name]
    except KeyError:
        raise UnknownSaga(f"No saga {name!r} is registered in this process.") from None


def names() -> list[str]:
    """Names of all registered definitions."""
    return sorted(_definitions)
