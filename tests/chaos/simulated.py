"""The fault that needs no stack: the saga engine in memory, under random schedules."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from tests.chaos.report import Report

NAME = "simulator"
WHAT = (
    "the saga engine in memory: --orders times 20 schedules of deliveries, crashes, duplicates and time-outs"
)
SCHEDULES = 20
"""For each order asked for: some things happen in one schedule of a hundred."""
FAULTS = ("crashes", "died at commit", "discarded", "fault: ")
REFUSED = ("duplicates refused", "outcomes refused", "heartbeats refused")


def run(orders: int, seed: int) -> Report:
    """Run :data:`SCHEDULES` times so many, beginning with that of ``seed``; see :mod:`tests.chaos.simulator`."""
    schedules = orders * SCHEDULES
    command = [sys.executable, "-m", "tests.chaos.simulator", "--json"]
    done = subprocess.run(
        [*command, "--schedules", str(schedules), "--seed", str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    counts = found["counts"]
    failed = [f"Seed {number}: {what}" for number, what in found["failed_seeds"].items()]
    completed, compensated = counts.get("ended completed", 0), counts.get("ended compensated", 0)
    return Report(
        fault=NAME,
        seed=seed,
        orders=schedules,
        completed=completed,
        compensated=compensated,
        parked=schedules - completed - compensated - len(failed),
        lost=len(failed),
        faults_injected=_sum(counts, FAULTS),
        duplicates_refused=_sum(counts, REFUSED),
        recovery_p50_s=0.0,
        recovery_max_s=0.0,
        audit=failed or "clean",
        ok=bool(found["ok"]),
        vacuous=[f"Not seen: {what}" for what in found["unseen"]],
    )


def _sum(counts: Mapping[str, int], names: tuple[str, ...]) -> int:
    """``names``: counters, or the beginnings of their names."""
    return sum(count for name, count in counts.items() if name.startswith(names))
