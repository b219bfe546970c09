"""What a person sees: progress while it runs, a table at the end. Colour on a terminal, plain lines in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.lab import Say

PIPE_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; wide enough for every table in a pipe."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=PIPE_WIDTH)


@contextmanager
def progress(console: Console) -> Iterator[Say]:
    """A line that changes on a terminal; line after line elsewhere. Always on stderr: stdout is for results."""
    if not console.is_terminal:
        yield lambda text: console.print(text, highlight=False)
        return
    with console.status("starting") as status:
        yield status.update


def show(console: Console, result: Mapping[str, Any]) -> None:
    """Print a result as tables."""
    console.print(_table(result))
    for goal in result["goals"]:
        mark = "[green]reached[/]" if goal["met"] else "[yellow]not reached[/]"
        console.print(
            f"  {goal['what']}: {figure(goal['value'])} (goal: {goal['goal']}) {mark}", highlight=False
        )
    for line in (*facts(result), *result["notes"]):
        console.print(f"  {line}", style="dim", highlight=False, markup=False)


def _table(result: Mapping[str, Any]) -> Table:
    table = Table(title=f"{result['bench']}: {result['unit']}", title_justify="left")
    table.add_column("case", min_width=20)
    for heading in ("median", "least", "most", "ours\ncompared"):
        table.add_column(heading, justify="right")
    trees = sorted({tree for one in result["cpu_us"].values() for tree in one})
    for tree in trees:
        table.add_column(f"CPU µs,\n{tree}", justify="right")
    for row in rows(result):
        cpu = result["cpu_us"].get(row["case"], {})
        table.add_row(
            row["case"], *(figure(row[key]) for key in ("median", "least", "most")),
            "" if row["ratio"] is None else f"{row['ratio']:.2f} x",
            *("" if tree not in cpu else figure(cpu[tree]) for tree in trees),
        )  # fmt: skip
    return table


def rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A result's cases: median, least, most, and the ratio of ours to it where it has a part in one."""
    ratios = {
        case: result[f"ratio_{role}"]
        for role, case in result["roles"].items()
        if role in ("other", "ceiling")
    }
    return [
        {
            "case": case,
            "median": median(values),
            "least": min(values),
            "most": max(values),
            "ratio": ratios.get(case),
        }
        for case, values in result["samples"].items()
    ]


def facts(result: Mapping[str, Any]) -> list[str]:
    """What else was found, for people: first what others took of the machine, where that is known."""
    stolen = result.get("stolen")
    taken = [] if stolen is None else [f"CPU time that the host gave to other guests: {stolen:.1%}"]
    return [*taken, *(f"{words(name)}: {figure(value)}" for name, value in result["figures"].items())]


def words(name: str) -> str:
    """A key, for people."""
    return name.replace("_", " ")


def figure(value: Any) -> str:
    """A figure, or several, for people."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{words(name)} {figure(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(figure, value))
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
