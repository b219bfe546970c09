"""Database connections that outlive a task, as they outlive a request.

Celery's own fixup for Django closes every connection before and after each task, whatever ``CONN_MAX_AGE`` says: then
each task begins by connecting, which takes longer than all that the platform does for it.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from celery.fixups.django import DjangoFixup, DjangoWorkerFixup

from outbox.connections import drop_interrupted, look_after_connections


class KeepingWorkerFixup(DjangoWorkerFixup):
    """Around each task, connections are treated as Django treats them around a request.

    One is closed when it is unusable or older than ``CONN_MAX_AGE`` seconds, or when the server has ended it; any other
    is kept. A forked process still begins with none.
    """

    def install(self) -> KeepingWorkerFixup:
        """As Celery's: no connection of the parent's is open when it forks."""
        super().install()
        self._close_database()
        return self

    def close_database(self, **_: Any) -> None:
        """Close what should not be used again."""
        drop_interrupted()
        look_after_connections()


class KeepingFixup(DjangoFixup):
    """Celery's fixup, with workers that keep their connections."""

    @cached_property
    def worker_fixup(self) -> KeepingWorkerFixup:
        """What is installed in a worker."""
        return KeepingWorkerFixup(self.app)


def fixup(app: Any) -> KeepingFixup | None:
    """Celery's hook for an application that is made: as Celery's own, it takes part where Django is configured."""
    return KeepingFixup(app).install() if os.environ.get("DJANGO_SETTINGS_MODULE") else None
