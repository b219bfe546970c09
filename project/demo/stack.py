"""The stack that the demonstration works on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from project.stack import RunInfo, background_stack, remove_state, running


@contextmanager
def stack(say: Callable[[str], None]) -> Iterator[RunInfo]:
    """Yield the running stack; when there is none, one of our own in a temporary directory, gone at the end.

    Raises StackError when it does not start. Not guaranteed: that the running stack goes on running.
    """
    found = running()
    if found is not None:
        say(f"Using the stack that runs at {found.urls['shop']}")
        yield found
        return
    with _temporary_directory() as directory:
        say(f"No stack is running: starting one in {directory}, which is removed at the end")
        with background_stack(directory) as started:
            try:
                yield started
            finally:
                say("Stopping the stack")


@contextmanager
def _temporary_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="todoke-demo-"))
    try:
        yield directory
    finally:
        remove_state(directory)
