"""Secrets: generated once, private, overruled by the environment."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from project.stack.credentials import FILE, GENERATORS, load_credentials
from project.stack.errors import StackError
from project.stack.state import StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir.open(tmp_path / "state")


def test_secrets_are_generated_once(state: StateDir) -> None:
    """The second start has the secrets of the first; another directory has others; the file is private."""
    first, second = load_credentials(state, {}), load_credentials(state, {})
    other = load_credentials(StateDir.open(state.path.parent / "other"), {})
    assert first.values == second.values
    assert set(first.values) == set(GENERATORS)
    assert not set(first.values.values()) & set(other.values.values())
    assert stat.S_IMODE(state.file(FILE).stat().st_mode) == 0o600


def test_the_secret_key_is_long_enough_for_production(state: StateDir) -> None:
    """Django's deployment check wants 50 characters at least."""
    assert len(load_credentials(state, {})["SECRET_KEY"]) >= 50


def test_the_environment_wins_and_is_not_written_down(state: StateDir) -> None:
    """A given value is used while it is given, and the generated one afterwards."""
    generated = load_credentials(state, {})["SANDBOX_TOKEN"]
    given = load_credentials(state, {"SANDBOX_TOKEN": "mine"})
    assert given["SANDBOX_TOKEN"] == "mine"
    assert given.given == {"SANDBOX_TOKEN"}
    assert "mine" not in state.file(FILE).read_text()
    assert load_credentials(state, {"SANDBOX_TOKEN": ""})["SANDBOX_TOKEN"] == generated


def test_a_new_secret_joins_the_old_ones(state: StateDir) -> None:
    """A file from an earlier version, with fewer secrets, keeps those that it has."""
    state.write(FILE, '{"SANDBOX_TOKEN": "old"}')
    assert load_credentials(state, {})["SANDBOX_TOKEN"] == "old"
    assert set(load_credentials(state, {}).values) == set(GENERATORS)


def test_a_damaged_file_is_not_overwritten(state: StateDir) -> None:
    """A file that cannot be read stops the start: it may hold the only copy of a password."""
    state.write(FILE, "{")
    with pytest.raises(StackError, match="is damaged"):
        load_credentials(state, {})
    assert state.file(FILE).read_text() == "{"


@pytest.mark.parametrize(
    ("name", "value"),
    [("SECRET_KEY", "two\nlines"), ("FLOWER_BASIC_AUTH", "nocolon"), ("FLOWER_BASIC_AUTH", "a:b,c:d")],
)
def test_values_that_cannot_work_are_refused(state: StateDir, name: str, value: str) -> None:
    """The message names the variable; nothing is generated."""
    with pytest.raises(StackError, match=name):
        load_credentials(state, {name: value})
    assert not state.file(FILE).exists()
