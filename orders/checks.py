"""System checks: settings of the shop that do not fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db import DEFAULT_DB_ALIAS


@register("orders")
def check_timeouts(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """A call that outlives its step's lease would be made again while it still runs."""
    if settings.GATEWAY_TIMEOUT_SECONDS < settings.STEP_TIMEOUT_SECONDS:
        return []
    return [
        Error(
            f"GATEWAY_TIMEOUT_SECONDS ({settings.GATEWAY_TIMEOUT_SECONDS}) is not below "
            f"STEP_TIMEOUT_SECONDS ({settings.STEP_TIMEOUT_SECONDS}).",
            hint="Give a step more time than a call of its gateway may take.",
            id="orders.E001",
        )
    ]


@register("orders")
def check_database(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """An order and what follows from it are one transaction, so they need one database."""
    alias = settings.OUTBOX.get("DATABASE", DEFAULT_DB_ALIAS)
    if alias == DEFAULT_DB_ALIAS:
        return []
    return [
        Error(
            f"OUTBOX['DATABASE'] is {alias!r}, and the shop's tables are in {DEFAULT_DB_ALIAS!r}.",
            hint="Take DATABASE out of OUTBOX: an order and its messages are written in one transaction.",
            id="orders.E002",
        )
    ]
