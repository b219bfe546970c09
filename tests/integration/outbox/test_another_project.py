"""Another project, made as ``docs/moving-a-celery-project.md`` and ``docs/console.md`` say, on SQLite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.harness.processes import ROOT

pytestmark = pytest.mark.processes

PAGE = (ROOT / "docs" / "moving-a-celery-project.md").read_text("utf-8")
CONSOLE = (ROOT / "docs" / "console.md").read_text("utf-8")

TESTS = """
from django.contrib.auth.models import User
from django.test import TestCase, override_settings
from django.urls import reverse

from outbox.testing import drain
from shop.tasks import add


class OutboxTest(TestCase):
    def test_a_task(self):
        add.delay(2, 3)
        assert [attempt.outcome for attempt in drain().attempts] == ["consumed"]

    def test_pages(self):
        add.delay(2, 3)
        self.client.force_login(User.objects.create(username="ada", is_staff=True, is_superuser=True))
        for name in ("index", *(f"outbox_{m}_changelist" for m in ("message", "pause", "ratelimit", "bulkoperation"))):
            page = self.client.get(reverse(f"admin:{name}"))
            assert page.status_code == 200, name
            assert b"outbox/console.css" in page.content, name
        assert b"panel-messages" in self.client.get(reverse("admin:index")).content
        assert self.client.get(reverse("admin:outbox_message_add")).status_code == 200
"""
TASKS = """
from celery import shared_task


@shared_task
def add(left, right):
    return left + right
"""
SETTINGS_MODULE = """
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

"""


def block(page: str, word: str) -> str:
    """The page's one example with that word in it."""
    (found,) = [code for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if word in code]
    return str(found)


def without_sagas(code: str) -> str:
    """As the page says for those who want none."""
    return "".join(line for line in code.splitlines(keepends=True) if "outbox.saga" not in line)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A project of Django's own making, with ``outbox`` beside its ``manage.py``, and the page's examples in place."""
    call_command("startproject", "shop", str(tmp_path))
    shutil.copytree(ROOT / "outbox", tmp_path / "outbox", ignore=shutil.ignore_patterns("__pycache__"))
    shop = tmp_path / "shop"
    applications, own_tasks = (
        without_sagas(block(PAGE, word)) for word in ("INSTALLED_APPS", "CELERY_BEAT_SCHEDULE")
    )
    with (shop / "settings.py").open("a") as settings:
        settings.write(applications + own_tasks + block(PAGE, "CELERY_RESULT_BACKEND"))
        settings.write(block(CONSOLE, "UNFOLD"))
        settings.write("CELERY_BROKER_URL = 'memory://'\n")
    (shop / "celery.py").write_text(SETTINGS_MODULE + block(PAGE, "DurableCelery"))
    (shop / "__init__.py").write_text("from shop.celery import app as celery_app\n")
    (shop / "tasks.py").write_text(TASKS)
    (shop / "tests.py").write_text(TESTS)
    with (shop / "urls.py").open("a") as urls:
        urls.write(block(CONSOLE, "index_template"))
    return tmp_path


def manage(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's own ``manage.py``."""
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=site,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pages_are_enough(site: Path) -> None:
    """Checked, migrated, and its tests pass: a durable task is delivered, and the console's pages are there.

    A bare ``manage.py test`` looks for tests everywhere below, and passes ``outbox`` by.
    """
    for arguments in (["check", "--fail-level", "WARNING"], ["migrate", "-v0"], ["test"]):
        done = manage(site, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Found 2 test(s)" in done.stdout


def test_sagas_are_refused_where_there_is_no_postgresql(site: Path) -> None:
    """By ``check``, and by ``migrate`` before it makes a table."""
    with (site / "shop" / "settings.py").open("a") as settings:
        settings.write('INSTALLED_APPS.append("outbox.saga")\n')
    for arguments in (["check"], ["migrate", "-v0"]):
        done = manage(site, *arguments)
        assert done.returncode == 1
        assert "saga.E001" in done.stderr
        assert "'default' is sqlite" in done.stderr
    assert not (site / "db.sqlite3").exists() or not (site / "db.sqlite3").stat().st_size


def test_the_packages_are_those_that_are_installed() -> None:
    """The page's table names what ``pip install`` of the repository brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    (table,) = re.findall(r"^\| packages \|.*?\n\n", PAGE, re.M | re.S)
    rows = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == needed
