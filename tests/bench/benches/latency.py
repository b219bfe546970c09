"""``latency``: from the commit to the task's start, on an idle system."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench import rivalry
from tests.bench.lab import Lab
from tests.bench.pacing import latencies
from tests.bench.result import Goal, Result, percentile, tidy
from tests.bench.sizes import Sizes
from tests.bench.wakeups import waking
from tests.harness.processes import ROOT

RELAY, BEAT, DIRECT = "manage.py relay", "beat and wake-up", "sent by its writer"
RIVAL, PLAIN = "django-celery-outbox", "plain Celery, no outbox"
Measure = Callable[[Lab, int], list[float]]


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round: every way in turn, its processes started for it and ended after it."""
    url = rivalry.prepare(lab)
    ways: dict[str, Measure] = {
        RELAY: _with_relay,
        BEAT: _with_beat,
        DIRECT: _direct,
        RIVAL: lambda lab, count: _rival(lab, url, count),
        PLAIN: _plain,
    }
    samples: dict[str, list[list[float]]] = defaultdict(list)
    for number in range(sizes.rounds):
        for name, measure in ways.items():
            lab.say(f"round {number + 1} of {sizes.rounds}: {name}")
            lab.empty()
            measured = measure(lab, max(1, sizes.samples // sizes.rounds))
            samples[name].append([seconds * 1000 for seconds in measured])
            lab.end()
    return _result(samples)


def _result(samples: Mapping[str, list[list[float]]]) -> Result:
    every = {name: [value for one in rounds for value in one] for name, rounds in samples.items()}
    figures = {
        name: {
            "p50": tidy(median(values)),
            "p99": tidy(percentile(values, 0.99)),
            "max": tidy(max(values)),
            "samples": len(values),
        }
        for name, values in every.items()
    }
    return Result(
        "latency",
        "ms, p50",
        {name: [median(one) for one in rounds] for name, rounds in samples.items()},
        {"ours": RELAY, "other": RIVAL, "ceiling": PLAIN},
        less_is_better=True,
        figures=figures,
        notes=[
            "One message at a time, a Celery worker with one process, one clock. `ceiling` sends straight to the "
            "broker after the commit and loses what a crash in between loses.",
            "The rival's relay polls every 0.1 s, the shortest pause that its documentation advises.",
        ],
        goals=[
            Goal("ms, p50, relay", median(every[RELAY]), 8, at_most=True),
            Goal("ms, p99, relay", percentile(every[RELAY], 0.99), 25, at_most=True),
            Goal("ms, p50, beat and wake-up", median(every[BEAT]), 15, at_most=True),
            Goal("ms, p99, beat and wake-up", percentile(every[BEAT], 0.99), 60, at_most=True),
        ],
    )


def _with_relay(lab: Lab, count: int) -> list[float]:
    with _worker(lab, OUTBOX_WAKE_UP="notify") as times:
        lab.manage("relay", OUTBOX_WAKE_UP="notify").wait_for("The relay is running")
        with waking("notify"):
            return latencies(_publish, times, count)


def _with_beat(lab: Lab, count: int) -> list[float]:
    with _worker(lab, OUTBOX_WAKE_UP="task") as times:
        lab.worker("outbox", OUTBOX_WAKE_UP="task")
        lab.beat()
        with waking("task"):
            return latencies(_publish, times, count)


def _direct(lab: Lab, count: int) -> list[float]:
    with _worker(lab) as times, waking("direct"):
        return latencies(_publish, times, count)


def _plain(lab: Lab, count: int) -> list[float]:
    with _worker(lab) as times:
        return latencies(_publish_plainly, times, count)


def _rival(lab: Lab, url: str, count: int) -> list[float]:
    times = _times(lab)
    env = {**rivalry.environment(url), "BENCH_TIMES_FILE": str(times)}
    env["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    program = str(rivalry.python(lab))
    worker = (
        program, "-m", "celery", "-A", "shop.celery", "worker", "-Q", "bench", "-c", "1", "-n", "rival@%h",
        "--without-gossip", "--without-mingle", "--loglevel=INFO",
    )  # fmt: skip
    lab.start("rival-worker", *worker, **env).wait_for("ready.")
    lab.start("rival", *rivalry.command(lab, "celery_outbox_relay", "--idle-time", "0.1"), **env)
    done = subprocess.run(
        rivalry.program(lab, "latency", str(times), str(count)),
        env={**os.environ, **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"The rival's publisher failed:\n{done.stderr[-2000:]}")
    return [float(seconds) for seconds in json.loads(done.stdout.splitlines()[-1])]


@contextmanager
def _worker(lab: Lab, **env: str) -> Iterator[Path]:
    times = _times(lab)
    lab.worker("bench", BENCH_TIMES_FILE=str(times), **env)
    yield times


def _times(lab: Lab) -> Path:
    times = lab.directory / "times"
    times.write_text("")
    return times


def _publish(number: int) -> None:
    from django.db import transaction

    from tests.bench.app.tasks import NOTE, book

    with transaction.atomic():
        book.delay(number, **NOTE)


def _publish_plainly(number: int) -> None:
    from tests.bench.app.tasks import NOTE, book_plainly

    book_plainly.delay(number, **NOTE)
