"""What the sandbox needs to know before it starts, read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class StartupError(Exception):
    """The sandbox cannot start; the text says what to do about it."""


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Where the ledger lives and which token opens the door.

    ``database`` is a file path; ``token`` is a secret and stays out of ``repr``.
    """

    database: Path
    token: str = field(repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> SandboxSettings:
        """Read ``SANDBOX_DB`` and ``SANDBOX_TOKEN``.

        Raises StartupError with advice when one is missing, or when the ledger would live in memory only.
        """
        return cls(database=_database(environ), token=_token(environ))


def _database(environ: Mapping[str, str]) -> Path:
    value = environ.get("SANDBOX_DB", "").strip()
    if not value:
        raise StartupError(
            "SANDBOX_DB is not set. Set it to the path of the ledger's SQLite file,"
            " for example SANDBOX_DB=./sandbox.db"
        )
    if ":memory:" in value or value.startswith("file:"):
        raise StartupError(
            f"SANDBOX_DB={value} is not a plain file path. The ledger must survive a restart: name a file."
        )
    path = Path(value)
    if path.is_dir():
        raise StartupError(f"SANDBOX_DB={value} is a directory. Name a file inside it.")
    if not path.parent.is_dir():
        raise StartupError(
            f"SANDBOX_DB={value}: the directory {path.parent} does not exist. Create it first."
        )
    return path


def _token(environ: Mapping[str, str]) -> str:
    value = environ.get("SANDBOX_TOKEN", "").strip()
    if not value:
        raise StartupError(
            "SANDBOX_TOKEN is not set. Set it to the secret that clients send as their bearer token."
        )
    if not value.isascii():
        raise StartupError("SANDBOX_TOKEN must be ASCII: it travels in an HTTP header.")
    return value
