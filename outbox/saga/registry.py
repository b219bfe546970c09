"""The saga definitions of this process, by name and version."""

from __future__ import annotations

from collections import defaultdict

from django.utils.translation import gettext as _

from outbox.saga.definition import SagaDefinition
from outbox.saga.exceptions import SagaError, UnknownSaga, UnknownVersion

_definitions: defaultdict[str, dict[int, SagaDefinition]] = defaultdict(dict)


def add(definition: SagaDefinition) -> None:
    """Make a definition known.

    Raises:
        SagaError: another definition has the name and the version.
    """
    if definition.version in _definitions[definition.name]:
        raise SagaError(f"The saga {definition.name!r} is registered twice in version {definition.version}.")
    _definitions[definition.name][definition.version] = definition


def remove(definition: SagaDefinition) -> None:
    """Forget a definition: for tests."""
    _definitions[definition.name].pop(definition.version, None)
    if not _definitions[definition.name]:
        del _definitions[definition.name]


def definition_of(name: str, version: int | None = None) -> SagaDefinition:
    """The definition of that name: its newest version, or the one that takes care of sagas of ``version``.

    That is the same version where it is registered, else the newest one if it migrates from it.

    Raises:
        UnknownSaga: there is none of that name.
        UnknownVersion: there is none for that version.
    """
    versions = _definitions.get(name)
    if not versions:
        raise UnknownSaga(_("No saga '%(name)s' is registered in this process.") % {"name": name})
    newest = versions[max(versions)]
    if version is None or version in versions:
        return newest if version is None else versions[version]
    if version in newest.migrations:
        return newest
    raise UnknownVersion(
        _(
            "Version %(version)s of the saga '%(name)s' is not registered in this process, which knows %(known)s and "
            "no migration from it."
        )
        % {"version": version, "name": name, "known": ", ".join(map(str, sorted(versions)))}
    )


def names() -> list[str]:
    """Names of all registered definitions."""
    return sorted(_definitions)


def behind(name: str) -> list[int]:
    """The versions of which sagas are to be migrated here: not registered any more, and the newest one says how."""
    known = _definitions.get(name, {})
    return sorted(set(known[max(known)].migrations) - set(known)) if known else []
