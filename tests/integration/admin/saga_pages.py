"""What the tests of the sagas' pages share."""

from __future__ import annotations

from typing import Any

from outbox.saga.models import Saga

LIST = "/admin/saga/saga/"
REASON = {"reason": "The provider is back."}


def url(made: Saga, page: str = "change") -> str:
    """The address of one of the saga's pages."""
    return f"{LIST}{made.pk}/{page}/"


def state(made: Saga) -> dict[str, Any]:
    """The saga's columns as they are now."""
    return Saga.objects.filter(pk=made.pk).values().get()
