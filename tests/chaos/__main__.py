"""``script/chaos``: break something again and again while orders run, and see whether every promise holds."""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys

from tests.chaos import simulated
from tests.chaos.catalogue import FAULTS
from tests.chaos.report import Report

EPILOG = """\
examples:
  script/chaos --fault kill --orders 100 --seed 7
  script/chaos --fault broker-flush --json
  script/chaos --all --orders 100 --json > figures.jsonl

exit codes: 0 every promise held, and the fault really hit; 1 not so; 2 bad options; 130 Ctrl-C
"""


def main() -> int:
    """Do what the command line says; returns the exit code."""
    options = _parse()
    if options.list:
        for fault in FAULTS.values():
            print(f"{fault.name:20} {fault.what}")  # noqa: T201
        print(f"{simulated.NAME:20} {simulated.WHAT}")  # noqa: T201
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the stack in order, too
    try:
        return _run_all() if options.all else _run(options)
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    report = (
        simulated.run(options.orders, options.seed)
        if options.fault == simulated.NAME
        else _run_stack(options)
    )
    if options.json and not report.ok:
        print(report.in_words(), file=sys.stderr)  # noqa: T201
    print(report.as_json() if options.json else report.in_words(), flush=True)  # noqa: T201
    return int(not report.ok)


def _run_stack(options: argparse.Namespace) -> Report:
    from tests.chaos.run import run
    from tests.chaos.stack import open_stack

    with open_stack(options.seed, brief=options.brief) as stack:
        fault = FAULTS[options.fault]
        report = run(fault, stack, orders=options.orders, seed=options.seed, patience=options.patience)
        if options.logs and not report.ok:
            for process in stack.processes:
                print(f"--- {process.name}\n{process.output[-options.logs :]}", file=sys.stderr)  # noqa: T201
    return report


def _run_all() -> int:
    """Each in a process of its own, with the same options; one that fails does not stop the others."""
    rest = [argument for argument in sys.argv[1:] if argument != "--all"]
    codes = [
        subprocess.run([sys.executable, "-m", "tests.chaos", "--fault", name, *rest], check=False).returncode
        for name in (*FAULTS, simulated.NAME)
    ]
    return int(any(codes))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "script/chaos",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--fault", choices=[*FAULTS, simulated.NAME], metavar="NAME", help="see --list")
    parser.add_argument("--all", action="store_true", help="every fault, one after the other")
    parser.add_argument("--list", action="store_true", help="say which faults there are")
    parser.add_argument("--orders", type=_positive, default=100, metavar="N", help="how many (default 100)")
    parser.add_argument(
        "--seed", type=int, default=None, metavar="S", help="of all that is left to chance here"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each fault")
    parser.add_argument("--brief", action="store_true", help="fewer faults, and outages of a few seconds")
    parser.add_argument(
        "--patience", type=_positive, default=300, metavar="SECONDS", help="for the end (default 300)"
    )
    parser.add_argument(
        "--logs", type=_positive, default=0, metavar="N", help="after a failure, that much of each log"
    )
    options = parser.parse_args()
    if not (options.list or options.all or options.fault):
        parser.error("which fault? Give --fault NAME, --all, or --list to see the names")
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
