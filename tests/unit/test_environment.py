"""Settings from the environment: a wrong value gets one sentence that names the variable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OUTBOX_DISPATCH_INTERVAL": "soon"}, "OUTBOX_DISPATCH_INTERVAL=soon is not a number"),
        ({"DATABASE_POOL_SIZE": "1.5"}, "DATABASE_POOL_SIZE=1.5 is not a whole number"),
        ({"DEBUG": "maybe"}, "DEBUG=maybe is not 1 or 0"),
        ({"EMAIL_URL": "bogus"}, "EMAIL_URL is not understood"),
        ({"DEBUG": "0", "SECRET_KEY": "short"}, "Set SECRET_KEY to at least 50 random characters"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_no_traceback(variables: dict[str, str], words: str) -> None:
    """``manage.py`` says what is wrong and exits with 1."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "complaints"),
    [
        ({}, {"project.W001", "project.W002"}),
        ({"ALLOWED_HOSTS": "shop.example.org", "EMAIL_URL": "smtp://m:25"}, set()),
    ],
)
def test_a_deployment_that_nobody_could_use_is_found(variables: dict[str, str], complaints: set[str]) -> None:
    """``check --deploy`` finds a site for this machine only, and letters that are only printed."""
    environment = {**os.environ, "DEBUG": "0", "EMAIL_URL": "consolemail://", **variables}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert {word for word in ("project.W001", "project.W002") if word in done.stderr} == complaints
    assert (done.returncode == 0) == (not complaints), done.stderr
