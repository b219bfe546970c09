"""System checks for a deployment: what works on one's own machine and not for the public."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

LOCAL = {"localhost", "127.0.0.1", "[::1]"}


@register(Tags.security, deploy=True)
def check_hosts(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """The public reaches the site by a name of its own."""
    if set(settings.ALLOWED_HOSTS) - LOCAL:
        return []
    hint = "Set ALLOWED_HOSTS to the site's names, separated by commas."
    return [Warning("The site answers to this machine only.", hint=hint, id="project.W001")]


@register(deploy=True)
def check_mail(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Letters go out, and not to a log."""
    if "console" not in settings.EMAIL_BACKEND:
        return []
    hint = "Set EMAIL_URL, such as smtp+tls://user:password@host:587"
    return [Warning("Letters to customers are only printed.", hint=hint, id="project.W002")]
