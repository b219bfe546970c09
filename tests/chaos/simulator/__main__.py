"""``python -m tests.chaos.simulator``: run many schedules, or replay one."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter


def main(argv: list[str] | None = None) -> int:
    """Exit code 0: every invariant held and every kind of end was seen; 1: not so; 2: wrong usage."""
    options = _parser().parse_args(argv)
    _set_up()
    from tests.chaos.simulator.running import replay, run

    if options.replay is not None:
        return replay(options.replay)
    started = time.monotonic()
    result = run(options.seed, options.schedules, jobs=options.jobs)
    seconds = time.monotonic() - started
    report = {
        "fault": "simulator",
        "seed": options.seed,
        "schedules": options.schedules,
        "seconds": round(seconds, 1),
        "failed_seeds": result.failed,
        "unseen": result.unseen,
        "counts": dict(sorted(result.counts.items())),
        "ok": result.is_ok,
    }
    print(json.dumps(report) if options.json else _in_words(report, result.counts))  # noqa: T201
    return 0 if result.is_ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulator", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first schedule; the others follow (default 1)"
    )
    parser.add_argument(
        "--schedules", type=_positive, default=1000, metavar="N", help="how many (default 1000)"
    )
    parser.add_argument("--jobs", type=_positive, default=1, help="processes side by side (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--replay", type=int, metavar="SEED", help="run one schedule and print its every event"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1.")
    return int(text)


def _in_words(report: dict[str, object], counts: Counter[str]) -> str:
    lines = [f"{name:32} {count:>10}" for name, count in sorted(counts.items())]
    lines.append(f"{report['schedules']} schedules from seed {report['seed']} in {report['seconds']} s.")
    if report["unseen"]:
        lines.append(f"Nothing was seen of: {report['unseen']}. Run more schedules.")
    if report["failed_seeds"]:
        lines.append(f"Failed: {report['failed_seeds']}. Replay one with --replay SEED.")
    return "\n".join([*lines, "All invariants held." if report["ok"] else "NOT OK."])


def _set_up() -> None:
    """Django without a database: the models are used as plain objects."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
    django.setup()


if __name__ == "__main__":
    sys.exit(main())
