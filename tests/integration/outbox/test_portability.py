"""The same engine on other databases: its own tests, run there."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT
from tests.harness.waiting import wait_until

ENGINE = (
    "test_claims",
    "test_consumption",
    "test_keys",
    "test_key_waits",
    "test_leases",
    "test_relay",
    "test_inbox",
    "test_patience",
)
"""What must hold everywhere."""


def run_engine_tests(database: dict[str, Any], without: str) -> str:
    """Run them in a process of their own, in the smallest project; returns what pytest said."""
    tests = [f"tests/integration/outbox/{name}.py" for name in ENGINE]
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "--ds", "tests.portability.settings", "-q"]
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.portability.settings",
        "PORTABILITY_DATABASE": json.dumps(database),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-m", without, *tests],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_the_engine_works_on_sqlite(tmp_path: Path) -> None:
    """By conditional updates: SQLite has one writer at a time and no row locks."""
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "outbox.sqlite3"),
        "TEST": {"NAME": str(tmp_path / "test.sqlite3")},
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
    assert " passed" in run_engine_tests(database, "not row_locks and not postgresql")


if shutil.which("mariadbd"):  # Debian's mariadb-server; CI has it

    def test_the_engine_works_on_mariadb(tmp_path: Path) -> None:
        """By conditional updates and SKIP LOCKED, on a real server of the test's own."""
        with mariadb(tmp_path) as socket:
            database = {
                "ENGINE": "django.db.backends.mysql",
                "NAME": "outbox",
                "USER": "root",
                "OPTIONS": {"unix_socket": str(socket)},
            }
            assert " passed" in run_engine_tests(database, "not postgresql")


@contextmanager
def mariadb(directory: Path) -> Iterator[Path]:
    """A server that listens on a socket in a private directory only; its only user needs no password there."""
    data, socket, user = directory / "data", directory / "mariadb.sock", getpass.getuser()
    common = ["--no-defaults", f"--datadir={data}"]
    subprocess.run(
        ["mariadb-install-db", *common, "--auth-root-authentication-method=normal", f"--user={user}"],
        check=True,
        capture_output=True,
    )
    with (directory / "mariadb.log").open("wb") as log:
        server = subprocess.Popen(
            ["mariadbd", *common, f"--socket={socket}", "--skip-networking", f"--user={user}"],
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(socket.exists, "MariaDB to listen")
        yield socket
    finally:
        server.terminate()
        server.wait(30)
