"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tests.bench.catalogue import BENCHES, Bench
from tests.bench.sizes import Sizes

EPILOG = """\
examples:
  script/bench relay                       a table
  script/bench relay --json --rounds 5     one JSON object
  script/bench all --json > figures.jsonl  every benchmark, one JSON object a line
  script/bench --render figures.jsonl      the figures as tables in Markdown
  script/bench --render figures.jsonl --into docs/benchmarks.md

exit codes: 0 measured (whether or not the goals were met); 1 a benchmark failed; 2 bad options; 130 Ctrl-C
"""


@dataclass(frozen=True)
class Options:
    """What to do. ``render``: a file of results to show instead of measuring; ``into``: the page that shows them."""

    benches: tuple[Bench, ...]
    sizes: dict[str, Sizes]
    json: bool = False
    list: bool = False
    render: Path | None = None
    into: Path | None = None


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line (None: of this process).

    A bad value ends the process with exit code 2 and a message that says what to do; ``--help`` with 0.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.name is None and not (given.list or given.render):
        parser.error(f"which benchmark? Give one of: {', '.join(BENCHES)}; or all")
    if given.into and not given.render:
        parser.error("--into needs --render FILE: the results to put into the page")
    names = list(BENCHES) if given.name == "all" else [given.name] if given.name else []
    benches = tuple(BENCHES[name] for name in names)
    overrides = {
        field.name: getattr(given, field.name)
        for field in fields(Sizes)
        if getattr(given, field.name) is not None
    }
    sizes = {bench.name: replace(bench.tiny if given.tiny else bench.sizes, **overrides) for bench in benches}
    return Options(benches, sizes, given.json, given.list, given.render, given.into)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "script/bench",
        description="Benchmarks: each measures ours and a comparison in the same run, alternating.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", choices=[*BENCHES, "all"], metavar="NAME", help="see --list")
    parser.add_argument("--list", action="store_true", help="say which benchmarks there are")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--render", type=_file, metavar="FILE", help="print tables of saved JSON results")
    parser.add_argument("--into", type=_file, metavar="PAGE", help="put these tables into a page instead")
    parser.add_argument("--tiny", action="store_true", help="as little as shows that it works")
    for field in fields(Sizes):
        kind = _positive_int if field.type == "int" else _positive_float
        parser.add_argument(f"--{field.name}", type=kind, metavar="N", help=_HELP[field.name])
    return parser


_HELP = {
    "rounds": "how often ours and its comparison take turns",
    "messages": "messages in each drain or measurement",
    "history": "old rows in the table",
    "samples": "measurements of a latency, over all rounds",
    "orders": "orders placed in each round",
    "seconds": "how long something is kept up",
    "rate": "requests a second",
}


def _positive_int(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return number


def _positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path
