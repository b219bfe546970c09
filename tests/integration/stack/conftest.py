"""Fixtures for tests that start the stack's programs and look at what they leave behind."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from project.stack.runs import end_earlier_runs
from tests.integration.stack.programs import Program, processes_of


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start a Python script with arguments; at the end, end it and all that it left on `tmp_path`."""
    programs: list[Program] = []

    def start_script(script: Path | str, *arguments: str, **env: str) -> Program:
        programs.append(Program([sys.executable, str(script), *arguments], env))
        return programs[-1]

    yield start_script
    for program in programs:
        program.process.kill()
    end_earlier_runs(tmp_path, patience=0)
    for program in programs:
        program.ended()


@pytest.fixture
def processes(tmp_path: Path) -> Callable[[], list[psutil.Process]]:
    """Return the living processes of any run on `tmp_path`."""
    return lambda: processes_of(tmp_path)


@pytest.fixture
def open_state() -> Iterator[Path]:
    """A path for a state directory that the servers' account can enter, whoever runs the tests."""
    base = Path(tempfile.mkdtemp(prefix="todoke-test-"))
    base.chmod(0o711)
    yield base / "state"
    end_earlier_runs(base / "state", patience=0)
    shutil.rmtree(base)
