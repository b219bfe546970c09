"""What a piece of work belongs to: carried from a request through rows, broker and tasks, and on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class WorkContext:
    """Ids that every message published from here inherits.

    Args:
        correlation_id: the business thing that it all belongs to, such as an order's id.
        causation_id: id of the message being consumed here: the cause of what is published.
        traceparent: W3C Trace Context header of the request or task at work (its ``tracestate`` does not travel).
    """

    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""

    def headers(self) -> dict[str, str]:
        """What a row's headers keep (the correlation id has a column of its own)."""
        return {
            name: value
            for name, value in (("causation_id", self.causation_id), ("traceparent", self.traceparent))
            if value
        }


NOTHING = WorkContext()
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, level 1: version, trace id, parent id, flags. Zeros and the version ff are invalid."""

_current: ContextVar[WorkContext] = ContextVar("outbox_context", default=NOTHING)


def current_context() -> WorkContext:
    """The context of the work at hand; empty outside of any."""
    return _current.get()


@contextmanager
def working_on(
    *, correlation_id: str | None = None, causation_id: str | None = None, traceparent: str | None = None
) -> Iterator[WorkContext]:
    """Work inside a changed context; what is not given stays as it is.

    A ``traceparent`` that is malformed counts as not given, wherever it came from; an empty one clears it.
    """
    if traceparent and not is_traceparent(traceparent):
        traceparent = None
    given = {"correlation_id": correlation_id, "causation_id": causation_id, "traceparent": traceparent}
    token = _current.set(replace(_current.get(), **{k: v for k, v in given.items() if v is not None}))
    try:
        yield _current.get()
    finally:
        _current.reset(token)


def is_traceparent(text: str) -> bool:
    """Whether a text is a well-formed W3C ``traceparent``."""
    return TRACEPARENT.fullmatch(text) is not None
