"""The stack's command line: `python -m project.stack [up | status | env]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

OK, FAILED, NOT_RUNNING = 0, 1, 3

if sys.platform == "win32":
    sys.exit("The embedded servers do not exist for Windows. Use: docker compose up")

from project.stack.errors import AlreadyRunningError, StackError  # noqa: E402 - needs what Windows has not
from project.stack.report import exports, status_report  # noqa: E402
from project.stack.runinfo import READY, read_run  # noqa: E402
from project.stack.state import state_path  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command, `up` where none is named, and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given = ["up", *given]
    options = _parser().parse_args(given)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except StackError as error:
        print(f"todoke: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=os.environ.get("TODOKE_COMMAND", "python -m project.stack"),
        description="Runs Todoke here: PostgreSQL, Valkey, web, workers, beat, sandbox and Flower.",
        epilog="Without a command it starts everything, as up does. "
        "The state is kept in $TODOKE_HOME (default: .todoke in the project). "
        "DATABASE_URL and BROKER_URL replace the embedded servers; PORT is the shop's port.",
    )
    commands = parser.add_subparsers(required=True, metavar="[COMMAND]")
    start = commands.add_parser(
        "up", help="start everything and keep it running until Ctrl-C", epilog=parser.epilog
    )
    start.add_argument(
        "--unattended", action="store_true", help="stop also at the end of standard input; print no passwords"
    )
    start.set_defaults(command=_up)
    status = commands.add_parser("status", help="say what runs where; exit code 0 when ready, 3 when not")
    status.set_defaults(command=_status)
    env = commands.add_parser("env", help='print the running stack\'s environment, for: eval "$(… env)"')
    env.set_defaults(command=_env)
    return parser


def _up(options: argparse.Namespace) -> int:
    from project.stack.up import up

    try:
        up(attended=not options.unattended)
    except AlreadyRunningError:
        info = read_run()
        if info is None:
            raise
        print(f"It runs already, and nothing was started. {status_report(info)}")
    return OK


def _status(_options: argparse.Namespace) -> int:
    info = read_run()
    if info is None:
        print(f"Todoke is not running (state in {state_path()}). Start it with script/server.")
        return NOT_RUNNING
    print(status_report(info))
    return OK if info.status == READY else NOT_RUNNING


def _env(_options: argparse.Namespace) -> int:
    info = read_run()
    if info is None or info.status != READY:
        print("todoke: no stack is ready. Start it with script/server.", file=sys.stderr)
        return NOT_RUNNING
    print(exports(info))
    return OK


if __name__ == "__main__":
    sys.exit(main())
