"""Set this process's clock off, in seconds: ``PYTHONPATH=tests/chaos/clock CHAOS_CLOCK=3600``.

Python imports it before anything else, so that whoever imports a clock gets this one. The monotonic clock is right.
"""

from __future__ import annotations

import datetime as library
import os
import time
from typing import Any

_offset = float(os.environ.get("CHAOS_CLOCK", "0"))
_time, _datetime = time.time, library.datetime


class _Meta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _datetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _datetime)


class datetime(_datetime, metaclass=_Meta):  # noqa: N801  (it takes the place of the library's)
    """The library's, with another idea of now. All instances are the library's own."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _datetime(*args, **kwargs)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """The wrong time."""
        return _datetime.now(tz) + library.timedelta(seconds=_offset)

    @classmethod
    def utcnow(cls) -> Any:
        """The wrong time."""
        return cls.now(library.UTC).replace(tzinfo=None)


if _offset:
    time.time = lambda: _time() + _offset
    library.datetime = datetime  # type: ignore[misc]
