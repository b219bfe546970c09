"""Rules about the code itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def test_imports_flow_one_way() -> None:
    """project → orders → outbox; the application uses public doors; the outbox knows no saga."""
    done = subprocess.run([BIN / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.django_db
def test_no_migration_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """The models and the migrations agree."""
    call_command("makemigrations", "--check", "--dry-run")
    assert "No changes detected" in capsys.readouterr().out


def test_the_embedded_stack_needs_no_django() -> None:
    """``project.stack`` can be imported before anything is configured, and brings no Celery along."""
    script = "import sys, project.stack; sys.exit(any(m in sys.modules for m in ('django', 'celery')))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_what_the_readme_names_exists() -> None:
    """Every script and document that the README and the docs point to is there."""
    import re

    missing = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        text = page.read_text()
        for script in re.findall(r"\bscript/[a-z]+\b", text):
            missing += [] if (ROOT / script).is_file() else [f"{page.name}: {script}"]
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            missing += [] if (page.parent / link).exists() else [f"{page.name}: {link}"]
        for path in re.findall(r"`((?:orders|outbox|project|tests)/[\w/.]+\.(?:py|md))`", text):
            missing += [] if (ROOT / path).exists() else [f"{page.name}: {path}"]
    assert missing == []
