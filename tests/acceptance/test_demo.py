"""The demonstration as a person starts it: a program of its own, with a stack of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from project.stack.reservations import Reservations
from project.stack.runinfo import FILE, read_run
from tests.harness.processes import ROOT
from tests.harness.waiting import wait_until
from tests.integration.stack.programs import is_running, processes_of

PATIENCE = 240.0  # seconds for a whole demonstration, on a busy machine
KEPT = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START", "COVERAGE_FILE")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing of this test run's servers; no stack is running; what is temporary goes to the test's directory."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Reservations() as ports:  # known to the stacks of other tests, too
        (temporary / ports.directory.name).symlink_to(ports.directory)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"DEBUG": "1", "TODOKE_HOME": str(tmp_path / "none"), "TMPDIR": str(temporary)}


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    with start(environment, *arguments) as program:
        output, errors = program.communicate(timeout=PATIENCE)
    return program.returncode, output, errors


def left_behind(environment: dict[str, str]) -> list[Path]:
    """What is still there of the demonstration: its temporary directory, and the stack that would be in it."""
    return list(Path(environment["TMPDIR"]).glob("todoke-demo-*"))


def test_half_of_the_payments_fail_and_all_orders_end(environment: dict[str, str]) -> None:
    """With its own stack: one JSON object on standard output, every order ended, the audit clean, nothing left.

    With this seed no request fails more than a few times in a row.
    """
    options = ("--orders", "12", "--fail", "payment=0.5", "--seed", "68", "--json")
    code, output, errors = run(environment, *options)
    assert code == 0, errors
    outcome = json.loads(output)
    assert list(outcome) == [
        "orders", "completed", "compensated", "parked", "retries", "seconds_p50", "seconds_p95", "audit",
    ]  # fmt: skip
    assert outcome["orders"] == 12
    assert outcome["completed"] + outcome["compensated"] + outcome["parked"] == 12
    assert outcome["completed"] >= 6
    assert outcome["parked"] == 0
    assert outcome["retries"] >= 1
    assert 0 < outcome["seconds_p50"] <= outcome["seconds_p95"]
    assert outcome["audit"] == "clean"
    assert "No stack is running: starting one in" in errors
    assert "Traceback" not in errors
    assert left_behind(environment) == []
    assert not Path(environment["TODOKE_HOME"]).exists()


def test_ctrl_c_leaves_nothing(environment: dict[str, str]) -> None:
    """Stopped in the middle of the start: exit code 130, no traceback, no process and no file left."""
    with start(environment, "--orders", "5") as program:
        wait_until(lambda: any(read_run(d) for d in left_behind(environment)), f"a stack to write {FILE}")
        [directory] = left_behind(environment)
        processes = processes_of(directory)
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 130
    assert output == ""
    assert "Traceback" not in errors
    assert errors.endswith("demo: stopped before the end\n")
    assert not any(map(is_running, processes))
    assert processes_of(directory) == []
    assert left_behind(environment) == []


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (
            ("--fail", "payment=half"),
            "'half' is not a share of the requests for error: give 0 to 1, such as 0.5",
        ),
        (("--orders", "-3"), "give 1 to 10000"),
    ],
)
def test_bad_values_end_at_once(environment: dict[str, str], arguments: tuple[str, ...], advice: str) -> None:
    """Exit code 2 and what to do, before anything is started."""
    code, output, errors = run(environment, *arguments)
    assert (code, output) == (2, "")
    assert advice in errors
    assert "Traceback" not in errors
    assert left_behind(environment) == []
