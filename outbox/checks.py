"""System checks: what ``manage.py check`` says of the platform's settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import current_app
from django.core.checks import CheckMessage, Error, Warning, register

from outbox.conf import conf
from outbox.exceptions import InvalidSetting


@register("outbox")
def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """``settings.OUTBOX`` has only known options, with values that can work."""
    try:
        return [Error(problem, id="outbox.E002") for problem in conf().problems()]
    except (InvalidSetting, TypeError) as error:
        return [Error(str(error), id="outbox.E001")]


@register("outbox")
def check_serializers(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Celery takes JSON only: whoever can write to the broker could run code through a pickle."""
    accepted = set(current_app.conf.accept_content)
    if accepted <= {"json", "application/json"}:
        return []
    return [
        Warning(
            f"Celery accepts {', '.join(sorted(accepted))}.",
            hint='Set CELERY_ACCEPT_CONTENT = ["json"].',
            id="outbox.W001",
        )
    ]
