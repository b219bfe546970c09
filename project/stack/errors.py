"""What can go wrong with the embedded stack, as the person at the terminal should read it."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot do what was asked. The message says why and what to do; no traceback is wanted."""


class AlreadyRunningError(StackError):
    """Another stack holds this state directory."""
