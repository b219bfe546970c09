"""Events of earlier versions, made into today's when they are consumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from outbox.events import EventType, Upcaster, event_class_type
from outbox.exceptions import OutboxError, PermanentError, UnknownVersion
from outbox.wording import describe

U = TypeVar("U", bound=Upcaster)


def upcast(event: type, *, from_version: int) -> Callable[[U], U]:
    """Decorator: a function that makes a payload of one version into a payload of the next.

    It gets and returns a dict of JSON values. Those of several versions are applied one after the other, so that each
    is written once, when its version is replaced, and then left alone.

    Args:
        event: the event's class, which has the latest version.
        from_version: the version that the function takes.

    Raises:
        OutboxError: that version has an upcaster already, or is not an earlier one.
    """
    kind = event_class_type(event)

    def register(function: U) -> U:
        if not 1 <= from_version < kind.version:
            raise OutboxError(
                f"{kind.name!r} is at version {kind.version}: there is no way up from version {from_version}."
            )
        if from_version in kind.upcasters:
            raise OutboxError(f"Version {from_version} of {kind.name!r} has two upcasters.")
        kind.upcasters[from_version] = function
        return function

    return register


def load(kind: EventType, payload: Mapping[str, Any], version: object = None) -> Any:
    """The event that a payload stands for, whatever version it was written in.

    Args:
        kind: the event's type.
        payload: JSON values.
        version: the version that it was written in; ``None``, as in a row inserted by hand: the current one.

    Raises:
        UnknownVersion: it is newer than this process's code.
        PermanentError: it cannot be made into the current one, or does not fit its schema.
    """
    fields = dict(payload)
    for step in range(_known(kind, version), kind.version):
        fields = _step_up(kind, fields, step)
    try:
        return kind.schema.validate_python(fields)
    except ValidationError as error:
        raise PermanentError(f"The payload is no {kind.name} (version {kind.version}): {error}") from None


def missing_upcasters(kind: EventType) -> list[int]:
    """Earlier versions whose rows could not be consumed."""
    return [version for version in range(1, kind.version) if version not in kind.upcasters]


def _known(kind: EventType, version: object) -> int:
    if version is None:
        return kind.version
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise PermanentError(f"{version!r} is no version of {kind.name}.")
    if version > kind.version:
        raise UnknownVersion(
            f"This {kind.name} has version {version}, and this process knows up to version {kind.version}. "
            "Deploy the newer code to the workers; redrive the message, if it is Failed by then."
        )
    return version


def _step_up(kind: EventType, fields: dict[str, Any], version: int) -> dict[str, Any]:
    function = kind.upcasters.get(version)
    if function is None:
        raise PermanentError(
            f"Nothing makes version {version} of {kind.name} into version {version + 1}: "
            f"add an @upcast(..., from_version={version}), then redrive the message."
        )
    try:
        return dict(function(fields))
    except Exception as error:
        raise PermanentError(
            f"The upcast of {kind.name} from version {version} failed: {describe(error)}"
        ) from error
