"""Errors as texts that a row can hold."""

from __future__ import annotations

LONGEST = 4000
"""Characters of an error that are kept."""


def describe(error: BaseException | str) -> str:
    """An error with its class, or a text, as PostgreSQL takes it: no NUL, no lone surrogates, not too long."""
    return clean(error if isinstance(error, str) else f"{type(error).__name__}: {_text(error)}")


def clean(text: str) -> str:
    """A text without what a text column refuses."""
    text = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text) - LONGEST} characters more)"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  (an error that cannot be told must not hide that it happened)
        return f"(its text raised {type(broken).__name__})"
