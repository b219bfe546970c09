"""What the commands say when the database is away: a sentence and an exit code, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.harness.processes import ROOT

COMMANDS = {
    "outbox": 1,
    "outbox --json": 1,
    "outbox health": 1,
    "outbox redrive --type orders.order_paid": 1,
    "dispatch": 1,
    "audit": 2,
    "saga list": 1,
    "saga show x": 1,
    "prune_sagas": 1,
    "create_api_key ada --name till": 1,
    "seed": 1,
}
"""With their exit codes: 1 from ``audit`` means that it has found something."""


@pytest.fixture(scope="module")
def started() -> dict[str, subprocess.Popen[str]]:
    """All of them, side by side."""
    env = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}
    return {
        command: subprocess.Popen(
            [sys.executable, "manage.py", *command.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=ROOT,
            text=True,
        )
        for command in COMMANDS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_is_away_is_said(started: dict[str, subprocess.Popen[str]], command: str) -> None:
    """On standard error, so that what reads standard output gets nothing that it would take for figures."""
    printed, said = started[command].communicate(timeout=120)
    assert said.startswith("CommandError: The database is away: ")
    assert "Traceback" not in said
    assert printed == ""
    assert started[command].returncode == COMMANDS[command]
