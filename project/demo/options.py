"""The options of the demonstration."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from project.demo.faults import Fault

MOST_ORDERS = 10_000
DESCRIPTION = """\
Places orders over HTTP as a customer would, follows every one to its end, and audits.
Uses the stack that script/server runs; else it starts one of its own, which is gone at the end.
"""
EPILOG = """\
kinds of faults, for --fail SERVICE=AMOUNT[:KIND] with the services payment and shipping:
  payment=0.5              half of the requests get an error before anything was done (kind: error)
  shipping=0.2:permanent   a fifth of the orders are refused for good: they are cancelled, with refund
  payment=0.3:lost         the service acts, and its answer is lost
  payment=200ms:latency    every answer takes 200 ms longer
  shipping=20s:down        nobody answers for the first 20 seconds

exit codes: 0 every order reached an end, and the audit is clean; 1 not so; 2 bad options; 130 Ctrl-C
"""


@dataclass(frozen=True)
class Options:
    """What the demonstration is to do.

    `rate`: orders per second when placing, None for as fast as they are taken. `timeout`: seconds from the
    first order until all have ended. `seed`: makes the choice of products and the services' luck repeat.
    """

    orders: int = 50
    rate: float | None = None
    faults: tuple[Fault, ...] = ()
    seed: int | None = None
    timeout: float = 300.0
    json: bool = False


def parse(arguments: Sequence[str] | None, program: str) -> Options:
    """Read the command line (None: of this process).

    A bad value ends the process with exit code 2 and a message that says what to do; `--help` with 0.
    """
    parser = _parser(program)
    given = parser.parse_args(arguments)
    faults = tuple(given.fail)
    named = [(fault.service, fault.kind) for fault in faults]
    for service, kind in named:
        if named.count((service, kind)) > 1:
            parser.error(f"--fail gives {service} two faults of the kind {kind}: keep one")
    return Options(given.orders, given.rate, faults, given.seed, given.timeout, given.json)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--orders", type=_orders, default=Options.orders, metavar="N", help="how many orders (default: 50)")
    add(
        "--rate",
        type=_positive("orders per second"),
        metavar="R",
        help="orders per second (default: no limit)",
    )
    add(
        "--fail", type=_fault, action="append", default=[], metavar="FAULT", help="see below; may be repeated"
    )
    add("--seed", type=_seed, metavar="N", help="makes the choice of products and the services' luck repeat")
    add(
        "--timeout", type=_positive("seconds"), default=Options.timeout, metavar="S",
        help="seconds to wait for the end of all orders (default: 300)",
    )  # fmt: skip
    add("--json", action="store_true", help="print the outcome as one JSON object, and nothing else")
    return parser


def _orders(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_ORDERS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of orders: give 1 to {MOST_ORDERS}")
    return int(text)


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(unit: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit}: give one above 0")
        return number

    return read
