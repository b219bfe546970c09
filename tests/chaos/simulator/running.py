"""Many schedules, one after the other or in several processes, and what they add up to."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.chaos.simulator.schedule import Schedule

SEEN = (
    "ended completed",
    "ended compensated",
    "crashes",
    "died at commit",
    "duplicates refused",
    "outcomes refused",
    "heartbeats refused",
    "signal delivered",
    "signal kept",
    "signal duplicate",
    "deployed",
    "discarded",
    "fault: done, no answer",
    "fault: no answer, not done",
    "fault: refused",
    "fault: undo failed",
    "fault: hook failed",
    "fault: record failed",
    "operation cancel",
    "operation compensate_now",
    "operation resume",
    "operation pause",
    "operation unpause",
    "operation retry_now",
    "operation skip",
    "operation mark_done",
)
"""What a run must have met, or it proves nothing."""


@dataclass
class Result:
    """What schedules add up to: counts by what happened, and the seeds that failed with why."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def unseen(self) -> list[str]:
        """What no schedule has met."""
        return [name for name in SEEN if not self.counts[name]]

    @property
    def is_ok(self) -> bool:
        """All held, and the run was not vacuous."""
        return not (self.failed or self.unseen)


def run(seed: int, schedules: int, *, jobs: int = 1, until_failure: bool = False) -> Result:
    """Run schedules of the seeds from ``seed`` on.

    Args:
        jobs: processes side by side.
        until_failure: stop at the first one that fails (with one job).
    """
    seeds = range(seed, seed + schedules)
    if jobs == 1:
        return _run_all(seeds, until_failure=until_failure)
    total = Result()
    with ProcessPoolExecutor(jobs) as pool:
        for part in pool.map(_run_all, [seeds[n::jobs] for n in range(jobs)]):
            total.counts.update(part.counts)
            total.failed.update(part.failed)
    return total


def replay(seed: int) -> int:
    """Run one schedule and print its every event. Exit code 0: it held."""
    try:
        Schedule(seed, partial(print, flush=True)).run()
    except Exception:  # noqa: BLE001  (whatever broke is shown)
        print(traceback.format_exc())  # noqa: T201
        return 1
    print("All invariants held.")  # noqa: T201
    return 0


def _run_all(seeds: range, *, until_failure: bool = False) -> Result:
    result = Result()
    logging.disable(logging.CRITICAL)  # the watchdog reports every fault that is made here
    try:
        for seed in seeds:
            _run_one(seed, result)
            if until_failure and result.failed:
                break
    finally:
        logging.disable(logging.NOTSET)
    return result


def _run_one(seed: int, result: Result) -> None:
    try:
        result.counts.update(Schedule(seed).run())
    except Exception as error:  # noqa: BLE001  (each seed that breaks anything is a finding)
        result.failed[seed] = f"{type(error).__name__}: {error}"
