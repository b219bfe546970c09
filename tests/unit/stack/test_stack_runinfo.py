"""The note of what runs where, and how it is told to a shell and to a person."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from pathlib import Path

import psutil
import pytest

from project.stack.report import exports, status_report
from project.stack.runinfo import FILE, READY, STARTING, RunInfo, forget_run, read_run, running
from project.stack.state import StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir.open(tmp_path / "state")


@pytest.fixture
def info(state: StateDir) -> RunInfo:
    """A stack whose supervisor is this very process."""
    return RunInfo.of_process(state, os.getpid())


def test_a_ready_stack_is_found(state: StateDir, info: RunInfo) -> None:
    """What was written is read, in full; the file, which has secrets, is private."""
    saved = info.save(state, status=READY, urls={"shop": "http://x/"}, env={"A": "b"}, processes={"web": 1})
    assert running(state.path) == saved
    assert stat.S_IMODE(state.file(FILE).stat().st_mode) == 0o600
    forget_run(state)
    assert running(state.path) is None


def test_a_dead_supervisor_is_no_stack(state: StateDir, info: RunInfo) -> None:
    """A note whose process has ended, or whose number another process has by now, counts as none."""
    with subprocess.Popen(["true"]) as ended:
        pass
    info.save(state, pid=ended.pid)
    assert read_run(state.path) is None
    info.save(state, started_at=psutil.Process().create_time() - 60)
    assert read_run(state.path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state_dir": "/x", "unknown": 1}', "null"])
def test_an_unreadable_note_is_no_stack(state: StateDir, text: str) -> None:
    """A note cut short, or of another version, does not stop anybody."""
    state.write(FILE, text)
    assert read_run(state.path) is None


def test_a_starting_stack_is_waited_for(state: StateDir, info: RunInfo) -> None:
    """`running` waits until a starting stack is ready, but no longer than allowed."""
    info.save(state, status=STARTING)
    assert running(state.path, wait_seconds=0) is None
    timer = threading.Timer(0.2, info.save, [state], {"status": READY})
    timer.start()
    found = running(state.path, wait_seconds=20)
    timer.join()
    assert found is not None
    assert found.status == READY


def test_exports_survive_the_shell(info: RunInfo, state: StateDir) -> None:
    """Values with quotes, spaces and dollar signs come out of `eval` as they went in."""
    value = """it's $HOME "and" `more` \\ """
    text = exports(info.save(state, env={"VALUE": value}))
    shell = subprocess.run(
        ["sh", "-c", f'{text}\nprintf %s "$VALUE"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == value


def test_the_status_names_places_and_no_secret(info: RunInfo, state: StateDir) -> None:
    """What a person is told has addresses and process ids, and nothing from the environment."""
    text = status_report(
        info.save(state, urls={"shop": "http://s/"}, processes={"web": 42}, env={"K": "hush"})
    )
    assert "Shop      http://s/" in text
    assert "web 42" in text
    assert "hush" not in text
