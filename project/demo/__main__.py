"""`python -m project.demo`: the demonstration's command line."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from project.demo.errors import DemoError, Stopped
from project.demo.options import Options, parse

if sys.platform == "win32":
    sys.exit("The embedded servers do not exist for Windows, and the demonstration needs them.")

from orders.sandbox.client import SandboxError
from project.demo.stack import stack
from project.stack import RunInfo, StackError

PROGRAM = "script/demo"
OK, FAILED = 0, 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the demonstration and return the exit code."""
    options = parse(arguments, PROGRAM)
    messages = Console(stderr=True, highlight=False)

    def say(text: str) -> None:
        messages.print(text, markup=False, soft_wrap=True)

    try:
        with _stop_on_signals(), stack(say) as info:
            return _demonstrate(options, info, messages, say)
    except (DemoError, SandboxError, StackError) as error:
        say(f"demo: {error}")
        return FAILED
    except Stopped as stopped:
        say("demo: stopped before the end")
        return stopped.exit_code


def _demonstrate(options: Options, info: RunInfo, messages: Console, warn: Callable[[str], None]) -> int:
    """Set up Django for the stack and run; everything that needs its settings is imported here."""
    os.environ.update(info.env, DJANGO_SETTINGS_MODULE="project.settings")
    import django
    from django.db import Error

    django.setup()
    from project.demo.report import print_outcome
    from project.demo.run import run

    output = Console(highlight=False)
    try:
        outcome = run(options, info, messages if options.json else output, warn)
    except Error as error:
        raise DemoError(f"The database does not answer as it should: {error}") from error
    if options.json:
        sys.stdout.write(json.dumps(outcome.as_json()) + "\n")
    else:
        print_outcome(output, outcome)
    return OK if outcome.good else FAILED


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Let the first signal raise Stopped, and ignore all later ones: what it sets off is to be finished.

    A stack of our own takes some seconds to stop, and stops too when this process is killed.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
