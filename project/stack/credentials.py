"""The stack's secrets: generated once, kept in one private file, and overruled by the environment."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from project.stack.errors import StackError
from project.stack.state import StateDir

FILE = "secrets.json"


def _password() -> str:
    return secrets.token_urlsafe(18)


GENERATORS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "TODOKE_POSTGRES_PASSWORD": _password,
    "TODOKE_VALKEY_PASSWORD": _password,
    "SANDBOX_TOKEN": lambda: secrets.token_urlsafe(32),
    "FLOWER_BASIC_AUTH": lambda: f"flower:{_password()}",
    "TODOKE_OPERATOR_PASSWORD": _password,
    "TODOKE_CUSTOMER_PASSWORD": _password,
    "TODOKE_API_KEY": lambda: f"tdk_{secrets.token_urlsafe(32)}",  # the customer's
}


@dataclass(frozen=True)
class Credentials:
    """Secret values by their environment variables; `given` names those that the environment set."""

    values: Mapping[str, str]
    given: frozenset[str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]


def load_credentials(state: StateDir, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return all secrets: from `environment`, else from the state's file, else new ones.

    New ones are kept in the file; values from the environment are not written down.
    Raises StackError when the file is damaged or a given value cannot work.
    """
    kept = _read(state)
    given = {name: environment[name] for name in GENERATORS if environment.get(name)}
    for name, value in given.items():
        _check(name, value)
    new = {name: make() for name, make in GENERATORS.items() if name not in kept and name not in given}
    if new:
        state.write(FILE, json.dumps(kept | new, indent=2) + "\n")
    return Credentials(kept | new | given, frozenset(given))


def _read(state: StateDir) -> dict[str, str]:
    path = state.file(FILE)
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StackError(
            f"{path} is damaged ({error}). Repair or remove it; new secrets are made then."
        ) from error
    return {name: str(value) for name, value in kept.items()}


def _check(name: str, value: str) -> None:
    if not value.isprintable():
        raise StackError(f"{name} has a line break or another unprintable character: give a printable value.")
    if name == "FLOWER_BASIC_AUTH" and (":" not in value or "," in value):
        raise StackError("FLOWER_BASIC_AUTH must be one user:password, without a comma.")
