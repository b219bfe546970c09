"""The state directory: private, ours, and for one stack at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from project.stack.errors import AlreadyRunningError, StackError
from project.stack.state import PROJECT, StateDir, state_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_place_is_given_or_in_the_environment_or_in_the_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An argument goes before TODOKE_HOME, which goes before `.todoke` in the project."""
    monkeypatch.setenv("TODOKE_HOME", str(tmp_path / "b"))
    assert state_path(tmp_path / "a") == tmp_path / "a"
    assert state_path() == tmp_path / "b"
    monkeypatch.setenv("TODOKE_HOME", "")
    assert state_path() == PROJECT / ".todoke"


def test_the_directory_and_its_files_are_private(tmp_path: Path) -> None:
    """The directory is made with mode 0700, files with 0600, whatever the umask."""
    state = StateDir.open(tmp_path / "deep" / "state")
    state.write("secret", "text")
    assert mode(state.path) == 0o700
    assert mode(state.file("secret")) == 0o600
    assert state.file("secret").read_text() == "text"


def test_an_open_directory_is_closed_to_others(tmp_path: Path) -> None:
    """A state directory that others could read is made private at the next opening."""
    StateDir.open(tmp_path / "state")
    (tmp_path / "state").chmod(0o755)
    assert mode(StateDir.open(tmp_path / "state").path) & 0o007 == 0


def test_somebody_elses_full_directory_is_refused_untouched(tmp_path: Path) -> None:
    """TODOKE_HOME=/home/me by mistake: nothing is changed there, and the message says what to do."""
    tmp_path.chmod(0o755)
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(StackError, match="Set TODOKE_HOME to a new or an empty directory"):
        StateDir.open(tmp_path)
    assert mode(tmp_path) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    """A path that cannot be a directory gives a message, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="cannot use"):
        StateDir.open(tmp_path / "file")


def test_the_lock_is_exclusive_and_given_back(tmp_path: Path) -> None:
    """While one holds the directory another is refused; afterwards it may have it."""
    state = StateDir.open(tmp_path / "state")
    with state.lock(), pytest.raises(AlreadyRunningError), StateDir.open(tmp_path / "state").lock():
        pass
    with state.lock():
        pass
