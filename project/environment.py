"""Where settings come from: the environment, and in development the stack that runs in this checkout."""

from __future__ import annotations

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent


def load() -> environ.Env:
    """The environment, completed by that of the running embedded stack where nothing else is said.

    So ``manage.py`` in a second terminal speaks to what ``script/server`` started in the first.
    """
    if "DATABASE_URL" not in os.environ:
        from project.stack import running

        stack = running()
        if stack is not None:
            for name, value in stack.env.items():
                os.environ.setdefault(name, value)
    return environ.Env()


def secret_key(env: environ.Env, *, debug: bool) -> str:
    """The signing key.

    Raises:
        ImproperlyConfigured: it is missing or too short, and this is not development.
    """
    key: str = env.str("SECRET_KEY", default="")
    if debug:
        return key or "only-for-development-" + "0" * 40
    if len(key) < 50:
        raise ImproperlyConfigured(
            "Set SECRET_KEY to at least 50 random characters, for example the output of: "
            'python -c "import secrets; print(secrets.token_urlsafe(64))"'
        )
    return key
