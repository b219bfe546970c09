"""For the tests of applications: what was published, and its delivery in the test's own process.

Everything here reads and moves real rows, and works inside the transaction that a test is rolled back with (Django's
``TestCase``, pytest-django's ``db``). ``docs/events.md`` shows it in use.
"""

from __future__ import annotations

from outbox.testing.draining import Delivered, DeliveryFailed, Drained, drain
from outbox.testing.publishing import Published, assert_nothing_published, assert_published, published
from outbox.transports.memory import MemoryTransport

__all__ = [
    "Delivered",
    "DeliveryFailed",
    "Drained",
    "MemoryTransport",
    "Published",
    "assert_nothing_published",
    "assert_published",
    "drain",
    "published",
]
