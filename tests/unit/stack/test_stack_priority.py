"""Background work gives way to whom people wait for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.stack.errors import StackError
from project.stack.priority import DEFAULT, LOWEST, give_way, niceness
from project.stack.services import Ports, stages
from project.stack.state import StateDir

OWN = os.getpriority(os.PRIO_PROCESS, 0)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, that starts a child when it is told to and prints the child's niceness."""
    code = "import os, subprocess, sys; sys.stdin.readline(); subprocess.run(['nice']); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        yield process
        process.kill()


def test_its_children_give_way_as_well(sleeper: subprocess.Popen[bytes]) -> None:
    """A worker's pool inherits the priority: it counts from what the stack itself has, and ends at the lowest."""
    give_way(sleeper.pid, by=10)

    assert sleeper.stdin is not None
    assert sleeper.stdout is not None
    sleeper.stdin.write(b"\n")
    sleeper.stdin.flush()
    assert int(sleeper.stdout.readline()) == min(OWN + 10, LOWEST)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel schedules no sessions")
def test_its_session_gives_way_as_well(sleeper: subprocess.Popen[bytes]) -> None:
    """Where sessions are scheduled, a process's own niceness does not count between them."""
    give_way(sleeper.pid, by=7)

    assert Path(f"/proc/{sleeper.pid}/autogroup").read_text().split()[-1] == "7"


def test_a_process_that_has_ended_is_no_error(sleeper: subprocess.Popen[bytes]) -> None:
    """It may have died at once; whoever watches it tells why."""
    sleeper.kill()
    sleeper.wait()

    give_way(sleeper.pid, by=10)


def test_how_far_is_a_setting() -> None:
    """$TODOKE_NICENESS: 0 switches it off; unset and empty are the default."""
    assert niceness({}) == niceness({"TODOKE_NICENESS": ""}) == DEFAULT
    assert niceness({"TODOKE_NICENESS": "0"}) == 0
    assert niceness({"TODOKE_NICENESS": "19"}) == 19


@pytest.mark.parametrize("text", ["20", "-5", "low", "1.5"])
def test_another_value_is_refused_with_help(text: str) -> None:
    """Said before anything starts."""
    with pytest.raises(StackError, match=f"TODOKE_NICENESS={text} is not a niceness: give 0"):
        niceness({"TODOKE_NICENESS": text})


def test_whom_people_wait_for_does_not_give_way(tmp_path: Path) -> None:
    """The web process keeps its priority; so does the sandbox, which is the outside world."""
    services = [s for stage in stages(StateDir.open(tmp_path / "s"), Ports(1, 2, 3), {}) for s in stage]

    assert [s.name for s in services if s.background] == ["worker", "dispatch", "beat", "flower"]
