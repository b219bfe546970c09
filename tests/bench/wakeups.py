"""Choose how this process wakes relays, as ``OUTBOX_WAKE_UP`` does for a new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def waking(*ways: str) -> Iterator[None]:
    """Commits of this process wake relays in these ways, while the block lasts."""
    from django.conf import settings
    from django.test import override_settings

    with override_settings(OUTBOX={**settings.OUTBOX, "WAKE_UP": ways}):
        yield
