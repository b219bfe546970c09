"""A short fault matrix for every change; ``script/chaos --all`` is the whole one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.chaos import simulated
from tests.chaos.catalogue import FAULTS
from tests.harness.processes import ROOT

KEYS = [
    "fault",
    "seed",
    "orders",
    "completed",
    "compensated",
    "parked",
    "lost",
    "faults_injected",
    "duplicates_refused",
    "recovery_p50_s",
    "recovery_max_s",
    "audit",
    "ok",
]
SHORT = ["kill", "crash-after-call", "broker-freeze", "ambiguous-commit"]
"""Between them: each process dies, the worst moment of a step, a broker that hangs, a commit in doubt."""


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person runs it: with servers of its own, and nothing of pytest's environment."""
    names = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_FILE")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("fault", SHORT)
def test_every_promise_holds(fault: str) -> None:
    """Though it breaks again and again: nothing lost, every effect once, all of it ended as it should."""
    options = ("--orders", "15", "--seed", "11", "--brief", "--json", "--patience", "120", "--logs", "3000")
    done = chaos("--fault", fault, *options)
    assert done.returncode == 0, done.stdout + done.stderr[-20_000:]
    report = json.loads(done.stdout)
    assert list(report) == KEYS
    assert report["orders"] >= 15
    assert report["audit"] == "clean"


def test_the_list_names_every_fault() -> None:
    """With what it does, in words."""
    done = chaos("--list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*FAULTS, simulated.NAME]


def test_a_wrong_name_is_explained() -> None:
    """Exit code 2, and where the right ones are."""
    done = chaos("--fault", "earthquake")
    assert done.returncode == 2
    assert "earthquake" in done.stderr
    assert chaos().returncode == 2
