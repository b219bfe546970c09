"""``publish``: what publishing adds to a transaction that writes one business row, beside what the rival adds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench import rivalry
from tests.bench.lab import Lab
from tests.bench.result import Goal, Result, tidy
from tests.bench.sizes import Sizes
from tests.harness.processes import ROOT

EVENT, TASK, RIVAL = "publish(event)", "task.delay()", "django-celery-outbox"


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round: a fresh process of ours, then one of the rival's, each mixing its kinds of transactions."""
    url = rivalry.prepare(lab)
    count, rows = str(sizes.messages), str(sizes.history)
    rounds: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for number in range(sizes.rounds):
        lab.say(f"round {number + 1} of {sizes.rounds}: {sizes.messages:,} transactions of each kind")
        lab.empty()
        ours = _output(
            [sys.executable, "-m", "tests.bench.publishing", count, rows], {"OUTBOX_WAKE_UP": "task"}
        )
        env = rivalry.environment(url)
        env["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
        rounds.append((ours, _output(rivalry.program(lab, "publishing", count), env)))
    return _result(sizes, [ours for ours, _ in rounds], [theirs for _, theirs in rounds])


def _result(sizes: Sizes, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> Result:
    kept = [_rate(one, "with an event") / _rate(one, "alone") for one in ours]
    bulk = [one["bulk"]["rows"] / one["bulk"]["seconds"] for one in ours]
    result = Result(
        "publish",
        "µs added to a transaction",
        {
            EVENT: [_added(one, "with an event") for one in ours],
            TASK: [_added(one, "with a task") for one in ours],
            RIVAL: [_added(one, "with a task") for one in theirs],
        },
        {"ours": EVENT, "other": RIVAL},
        less_is_better=True,
        cpu={
            EVENT: {"added in the publisher": median(_added_cpu(one, "with an event") for one in ours)},
            TASK: {"added in the publisher": median(_added_cpu(one, "with a task") for one in ours)},
            RIVAL: {"added in the publisher": median(_added_cpu(one, "with a task") for one in theirs)},
        },
        figures={
            "transactions_per_s_without": tidy(median(_rate(one, "alone") for one in ours)),
            "transactions_per_s_with": tidy(median(_rate(one, "with an event") for one in ours)),
            "rate_kept": tidy(median(kept)),
            "rivals_added_cpu_over_ours": tidy(
                median(
                    _added_cpu(their, "with a task") / _added_cpu(own, "with an event")
                    for own, their in zip(ours, theirs, strict=True)
                )
            ),
            "bulk_rows_per_s": tidy(median(bulk)),
            "bulk_cpu_us_per_row": tidy(median(o["bulk"]["cpu"] / o["bulk"]["rows"] * 1e6 for o in ours)),
            "transactions": sizes.messages,
            "bulk_rows": sizes.history,
        },
        notes=[
            "Added time: medians of whole transactions that do not wait for the disk at their commit, which would "
            "drown the difference. Rates: with fsync, as it comes. The wake-up is on.",
            "Bulk: that many events in one transaction, from objects to committed rows.",
        ],
    )
    result.goals = [
        Goal("the rival's added time / ours", result.ratio("other") or 0, 2),
        Goal("share of the transaction rate kept", median(kept), 0.7),
        Goal("rows/s in bulk", median(bulk), 30_000),
    ]
    return result


def _output(argv: Sequence[str], env: Mapping[str, str]) -> Mapping[str, Any]:
    done = subprocess.run(
        argv, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _added(one: Mapping[str, Any], kind: str) -> float:
    seconds = one["unsynced"]["seconds"]
    return (median(seconds[kind]) - median(seconds["alone"])) * 1e6


def _added_cpu(one: Mapping[str, Any], kind: str) -> float:
    cpu, count = one["unsynced"]["cpu"], len(one["unsynced"]["seconds"][kind])
    return float((cpu[kind] - cpu["alone"]) / count * 1e6)


def _rate(one: Mapping[str, Any], kind: str) -> float:
    """Transactions a second that wait for the disk."""
    return 1 / median(one["synced"]["seconds"][kind])
