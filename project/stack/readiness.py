"""How to tell that a process is ready for those that need it: conditions as values."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

TIMEOUT = 2.0  # seconds for one attempt to reach a server


class Observed(Protocol):
    """What a condition may look at: a process's recent output and its exit code (None while it runs)."""

    @property
    def exit_code(self) -> int | None: ...

    def has_printed(self, text: str) -> bool: ...


class Condition(Protocol):
    """Something that becomes true of a process."""

    def met(self, process: Observed) -> bool:
        """Say whether it is true now."""
        ...


@dataclass(frozen=True)
class Answers:
    """The process answers GET `url` with a success or a redirect."""

    url: str

    def met(self, process: Observed) -> bool:  # noqa: ARG002 - the address is enough
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT)
        try:
            connection.request("GET", address.path or "/")
            return connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@dataclass(frozen=True)
class Prints:
    """The process has printed `text`."""

    text: str

    def met(self, process: Observed) -> bool:
        return process.has_printed(self.text)


@dataclass(frozen=True)
class Finishes:
    """The process has done its work and ended well."""

    def met(self, process: Observed) -> bool:
        return process.exit_code == 0
