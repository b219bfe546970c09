"""The rival: django-celery-outbox, installed for the benchmarks in an environment of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from psycopg import Connection

from project.stack.state import state_path
from tests.bench.draining import Contender
from tests.bench.lab import Lab
from tests.bench.rows import keep_template
from tests.harness.processes import Process

HOME = Path(__file__).parent / "rival"
REQUIREMENTS = HOME / "requirements.txt"
DATABASE = "rival"
BEST = ("--batch-size", "1000", "--publish-concurrency", "1")
"""Its documentation's advice for a high volume, and its advised baseline."""


def python(lab: Lab) -> Path:
    """The interpreter of the rival's environment, which is made when it is missing or outdated.

    Raises:
        SystemExit: it could not be installed; the message says why.
    """
    home = state_path() / "bench" / "rival-venv"
    program, stamp = home / "bin" / "python", home / "installed"
    wanted = REQUIREMENTS.read_text() + sys.version
    if not stamp.exists() or stamp.read_text() != wanted:
        lab.say("installing django-celery-outbox, once")
        home.parent.mkdir(parents=True, exist_ok=True)
        _run(sys.executable, "-m", "venv", "--clear", str(home))
        _run(str(program), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS))
        stamp.write_text(wanted)
    return program


class RivalRelay(Contender):
    """Its own command with its best settings, on a database of its own in the same server."""

    table = "celery_outbox"
    template = "bench_template_rival"

    def __init__(self, lab: Lab, *options: str) -> None:
        super().__init__(lab, url=prepare(lab))
        self.options = options or BEST

    def start(self) -> Process:
        """Start ``celery_outbox_relay``; it tells nobody when it is ready, so the warm-up waits for it."""
        return self.lab.start(
            "rival", *command(self.lab, "celery_outbox_relay", *self.options, "--idle-time", "0.1"),
            **environment(self.url),
        )  # fmt: skip

    def is_empty(self, connection: Connection[Any], since: datetime) -> bool:
        """It deletes what it has sent."""
        return connection.execute("SELECT NOT EXISTS (SELECT FROM celery_outbox)").fetchone() == (True,)


def prepare(lab: Lab) -> str:
    """The rival's database, without messages; made once a laboratory, with one row of its own making to copy.

    Returns its address.
    """
    url = urlsplit(lab.servers.database_url)._replace(path=f"/{DATABASE}").geturl()
    with lab.database() as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
    if known is not None:
        with lab.database(url) as connection:
            connection.execute(f"TRUNCATE {RivalRelay.table}")
        return url
    with lab.database() as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    _run(*command(lab, "migrate", "--run-syncdb", "--verbosity", "0"), **environment(url))
    _run(*program(lab, "publish_one"), **environment(url))
    with lab.database(url) as connection:
        keep_template(connection, RivalRelay.table, RivalRelay.template)
    return url


def command(lab: Lab, *argv: str) -> list[str]:
    """A management command of the rival's project."""
    return [str(python(lab)), str(HOME / "manage.py"), *argv]


def program(lab: Lab, name: str, *argv: str) -> list[str]:
    """A program beside the rival's project."""
    return [str(python(lab)), str(HOME / f"{name}.py"), *argv]


def environment(url: str) -> dict[str, str]:
    """What its processes need."""
    return {
        "DATABASE_URL": url,
        "BROKER_URL": os.environ["BROKER_URL"],
        "SECRET_KEY": secrets.token_urlsafe(64),
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": str(HOME),
    }


def _run(*argv: str, **env: str) -> None:
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{done.stderr[-2000:]}")
