"""The outcome: a table for people, an object for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from project.demo.standing import Standing

REASONS_SHOWN = 5


@dataclass(frozen=True)
class Outcome:
    """What became of the orders. Times in seconds from order to shipped; None when nothing was shipped.

    `findings`: what the audit found. `reasons`: why orders were cancelled or parked, with how many.
    """

    orders: int
    standing: Standing
    times: tuple[float, float] | None
    findings: Sequence[str]
    reasons: Sequence[tuple[str, int]] = ()

    @property
    def good(self) -> bool:
        """Whether every order reached an end and the audit is clean."""
        return self.standing.ended == self.orders and not self.findings

    def as_json(self) -> dict[str, Any]:
        """The object for machines."""
        p50, p95 = self.times or (None, None)
        return {
            "orders": self.orders,
            "completed": self.standing.completed,
            "compensated": self.standing.compensated,
            "parked": self.standing.parked,
            "retries": self.standing.retries,
            "seconds_p50": p50 and round(p50, 3),
            "seconds_p95": p95 and round(p95, 3),
            "audit": list(self.findings) or "clean",
        }


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print the table, the reasons and the audit's verdict."""
    console.print(_table(outcome))
    for reason, count in outcome.reasons[:REASONS_SHOWN]:
        console.print(f"  {count}: {reason}", markup=False, soft_wrap=True)
    if more := sum(count for _, count in outcome.reasons[REASONS_SHOWN:]):
        console.print(f"  {more}: other reasons")
    if outcome.findings:
        console.print(f"The audit has {len(outcome.findings)} findings:", style="bold red")
        for finding in outcome.findings:
            console.print(f"- {finding}", markup=False, soft_wrap=True)
    else:
        console.print("The audit is clean.", style="bold green")


def _table(outcome: Outcome) -> Table:
    standing = outcome.standing
    p50, p95 = (f"{seconds:.2f} s" for seconds in outcome.times) if outcome.times else ("-", "-")
    rows = [
        ("orders", str(outcome.orders)),
        ("completed", str(standing.completed)),
        ("compensated", str(standing.compensated)),
        ("parked (needs attention)", str(standing.parked)),
        ("without an end", str(outcome.orders - standing.ended)),
        ("order to shipped, p50", p50),
        ("order to shipped, p95", p95),
        ("retries", str(standing.retries)),
    ]
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows:
        if name != "without an end" or value != "0":
            table.add_row(name, value)
    return table
