"""The scripts that set things up, in a small project of their own, offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project.stack.state import PROJECT

PIP = """
import pathlib, sys
if "install" in sys.argv:
    with open(".venv/asked", "a") as asked:
        asked.write(" ".join(sys.argv) + "\\n")
    sys.exit("broken" in pathlib.Path("requirements.txt").read_text())
"""
TOOLS = ("bash", "basename", "cat", "cksum", "dirname", "flock", "rm")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project with the scripts and with requirements that need no network: none."""
    directory = tmp_path / "a project"
    shutil.copytree(PROJECT / "script", directory / "script")
    (directory / "requirements.txt").write_text("# nothing\n")
    return directory


def setup(checkout: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run script/setup from another directory than the project's."""
    return subprocess.run(
        [str(checkout / "script" / "setup"), *arguments],
        cwd="/",
        env=os.environ | ({"PATH": path} if path else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def venv(checkout: Path) -> Path:
    """The project's .venv, whose pip only notes what it is asked for, and fails where it reads "broken"."""
    directory = checkout / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    pip = next(directory.glob("lib/python3*/site-packages")) / "pip"
    pip.mkdir()
    (pip / "__init__.py").touch()
    (pip / "__main__.py").write_text(PIP)
    return directory


def test_packages_are_installed_only_when_requirements_changed(checkout: Path, venv: Path) -> None:
    """The same contents are installed once, for running and for developing; changed ones again."""
    (checkout / "requirements-dev.txt").write_text("pytest\n")
    said = [setup(checkout, *options).stdout for options in ((), (), ("--dev",), ("--dev",), ())]
    run, dev = "Installing requirements.txt\n", "Installing requirements-dev.txt\n"
    assert said == [run, "", dev, "", ""]
    (checkout / "requirements.txt").write_text("django\n")
    assert [setup(checkout).stdout, setup(checkout, "--dev").stdout] == [run, dev]
    assert (venv / "asked").read_text().count("--requirement=requirements.txt") == 4


def test_a_failed_installation_is_tried_again(checkout: Path, venv: Path) -> None:
    """When pip fails so does the script, in words, and the next run does not take it for done."""
    (checkout / "requirements.txt").write_text("broken\n")
    for _ in range(2):
        failed = setup(checkout)
        assert failed.returncode == 1
        assert "pip could not install requirements.txt" in failed.stderr


def test_a_half_made_environment_is_completed(checkout: Path) -> None:
    """A .venv that was cut short before pip was there gets pip; then all is as usual."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(checkout / ".venv")], check=True)
    result = setup(checkout)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Installing requirements.txt\n"
    assert next(checkout.glob(".venv/bin/pip")).exists()


def test_a_python_that_is_too_old_is_refused(checkout: Path, tmp_path: Path) -> None:
    """Without a Python that is new enough: one line that says so, exit code 1, and nothing made."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    nothing = setup(checkout, path=str(tools))
    assert nothing.returncode == 1
    assert "needs Python 3.11 or newer, and found no Python at all" in nothing.stderr

    (tools / "python3").write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1 || exit 1\n')
    (tools / "python3").chmod(0o755)
    old = setup(checkout, path=str(tools))
    assert old.returncode == 1
    assert old.stderr == "script/setup: needs Python 3.11 or newer, and found Python 3.8.1.\n"
    assert not (checkout / ".venv").exists()


def test_unknown_options_are_refused(checkout: Path) -> None:
    """A slip of the fingers changes nothing and is answered with the usage."""
    result = setup(checkout, "--prod")
    assert result.returncode == 1
    assert "unknown option --prod. Usage: script/setup [--dev]" in result.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", ["setup", "server", "demo", "test"])
def test_scripts_are_executable_and_strict(name: str) -> None:
    """Each can be run as it is, and stops at the first error."""
    script = PROJECT / "script" / name
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
