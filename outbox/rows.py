"""A message that is not written yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from outbox.models.message import DEFAULT_PRIORITY

COLUMNS = (
    "id",
    "type",
    "consumer",
    "payload",
    "headers",
    "queue",
    "priority",
    "correlation_id",
    "key",
    "blocks_key",
    "schedule_key",
    "next_attempt_at",
)
REPLACED = (
    "type",
    "payload",
    "headers",
    "queue",
    "priority",
    "correlation_id",
    "key",
    "blocks_key",
    "next_attempt_at",
)
"""What a message takes over from one that replaces it. It keeps its id, and its place among those of its key."""

LONGEST = {
    "key": 200,
    "schedule_key": 200,
    "correlation_id": 64,
    "queue": 100,
    "consumer": 200,
}
"""Characters."""
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""Its escape in a JSON text; an even number of backslashes before the u is a text about it."""


@dataclass(slots=True)
class NewMessage:
    """A row that is not written yet; the columns' meaning is :class:`outbox.models.Message`'s.

    ``payload`` and ``headers`` are JSON texts. ``delay`` counts seconds from the moment of the INSERT, by the
    database's clock; ``next_attempt_at`` is an absolute time, and overrides it. ``coalesce``: where it replaces a
    message that waits, the earlier of the two times holds.
    """

    id: UUID
    type: str
    consumer: str
    payload: str
    headers: str = "{}"
    queue: str = ""
    priority: int = DEFAULT_PRIORITY
    correlation_id: str = ""
    key: str = ""
    blocks_key: bool = True
    schedule_key: str | None = None
    next_attempt_at: datetime | None = None
    delay: float = 0
    coalesce: bool = False

    @property
    def name(self) -> tuple[str, str | None]:
        """What it may replace: the message of this name that waits unsent."""
        return self.consumer, self.schedule_key

    def check(self) -> None:
        """Refuse what the table would refuse, before a failed statement spoils the caller's transaction.

        Raises:
            ValueError: says what is wrong.
        """
        for column, longest in LONGEST.items():
            if len(getattr(self, column) or "") > longest:
                raise ValueError(
                    f"{column} has at most {longest} characters, not {len(getattr(self, column))}."
                )
        if self.schedule_key == "":
            raise ValueError("A schedule_key must not be empty: give None for none.")
        if self.coalesce and self.schedule_key is None:
            raise ValueError(
                "coalesce=True needs a schedule_key: the name under which only the latest is kept."
            )
        if not 0 <= self.priority <= 9:
            raise ValueError(f"A priority is 0 (first) to 9 (last), not {self.priority}.")
        if "\\u0000" in self.payload and NUL.search(self.payload):
            raise ValueError(
                f"The payload of {self.type} has a NUL character (\\u0000), which the database cannot keep."
            )

    def values(self) -> list[Any]:
        """Of all columns but the due time, which is an expression."""
        return [
            self.id,
            self.type,
            self.consumer,
            self.payload,
            self.headers,
            self.queue,
            self.priority,
            self.correlation_id,
            self.key,
            self.blocks_key,
            self.schedule_key,
        ]

    @property
    def is_free(self) -> bool:
        """Whether nothing keeps it back from being sent as soon as it is committed: no time, key, or name."""
        return self.next_attempt_at is None and self.delay <= 0 and not self.key and self.schedule_key is None

    @property
    def is_due(self) -> bool:
        """Whether a relay is worth waking for it. A hint: the due time itself is the database's affair."""
        if self.next_attempt_at is not None:
            return self.next_attempt_at <= timezone.now()
        return self.delay <= 0


def latest(rows: Iterable[NewMessage]) -> list[NewMessage]:
    """The last one of each name, in one order everywhere: two transactions then wait, but never for each other."""
    last = {(row.consumer, row.schedule_key or ""): row for row in rows}
    return [last[name] for name in sorted(last)]
