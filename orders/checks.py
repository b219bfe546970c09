"""System checks: settings of the shop that do not fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


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
