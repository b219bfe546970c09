"""Saved results as Markdown tables, for the page with the figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.catalogue import BENCHES
from tests.bench.display import facts, figure, rows

START, END = "<!-- figures -->", "<!-- end of figures -->"
"""Between these the page keeps its tables."""


def load(path: Path) -> list[dict[str, Any]]:
    """The results in a file, one JSON object a line; of a benchmark that was run twice the later one.

    Raises:
        ValueError: a line is not a result; says which.
    """
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            result = json.loads(line)
            found[result["bench"]] = result
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: not a result of script/bench --json") from error
    return [found[name] for name in BENCHES if name in found]


def render(results: Iterable[Mapping[str, Any]]) -> str:
    """The tables, each with what was reached and what one must know."""
    return "\n".join(line for result in results for line in _section(result))


def put_into(page: Path, tables: str) -> None:
    """Replace the figures that the page has between its marks.

    Raises:
        ValueError: the page has no such marks.
    """
    text = page.read_text()
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{page} has no lines {START} and {END} to put the figures between")
    page.write_text(f"{before}{START}\n\n{tables}\n{END}{after}")


def _section(result: Mapping[str, Any]) -> list[str]:
    machine, what = result["machine"], BENCHES[result["bench"]].what
    return [
        f"### {result['bench']}",
        "",
        f"{what[:1].upper()}{what[1:]}. {machine['date'][:10]}, {machine['cores']} cores "
        f"({machine['cpu']}), Python {machine['python']}, rounds: {result['rounds']}.",
        "",
        *_table(result),
        "",
        *_goals(result),
        *(f"- {note}" for note in result["notes"]),
        *(f"- {fact}" for fact in facts(result)),
        "",
    ]


def _table(result: Mapping[str, Any]) -> list[str]:
    trees = sorted({tree for cpu in result["cpu_us"].values() for tree in cpu})
    headings = [result["unit"], "median", "least", "most", "ours compared", *(f"CPU µs, {t}" for t in trees)]
    lines = [_row(headings), _row(["---", *["--:"] * (len(headings) - 1)])]
    for row in rows(result):
        cpu = result["cpu_us"].get(row["case"], {})
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f} x"
        figures = [figure(row[key]) for key in ("median", "least", "most")]
        lines.append(_row([row["case"], *figures, ratio, *(figure(cpu.get(tree)) for tree in trees)]))
    return lines


def _goals(result: Mapping[str, Any]) -> list[str]:
    if not result["goals"]:
        return []
    lines = [_row(["goal", "measured", ""]), _row(["---", "--:", "---"])]
    for goal in result["goals"]:
        reached = "reached" if goal["met"] else "not reached"
        lines.append(_row([f"{goal['what']}: {goal['goal']}", figure(goal["value"]), reached]))
    return [*lines, ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
