"""The benchmarks run, each on its own servers with real processes, and print what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.page import END, START, render
from tests.harness.processes import ROOT

RUN = ("relay", "publish")
PROMISED = {"bench", "unit", "ours", "other", "ceiling", "ratio_other", "ratio_ceiling", "rounds", "machine"}


def bench(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run the program behind ``script/bench``."""
    command = [sys.executable, "-m", "tests.bench", *argv]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    """What the two main benchmarks print, with as little work as shows that they work; all of them take minutes."""
    found = {}
    for name in RUN:
        done = bench(name, "--tiny", "--json")
        assert done.returncode == 0, done.stderr[-6000:]
        found[name] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", RUN)
def test_a_benchmark_prints_one_object_with_what_is_promised(results: dict[str, Any], name: str) -> None:
    """Ours was measured, in at least one round, on a machine that is named; ratios stand where a comparison does."""
    result = results[name]
    assert set(result) >= PROMISED
    assert result["ours"] is not None
    assert result["rounds"] >= 1
    assert result["machine"]["cores"] >= 1
    assert result["stolen"] is None or 0 <= result["stolen"] <= 1
    for role in ("other", "ceiling"):
        assert (result[role] is None) == (result[f"ratio_{role}"] is None)
    assert result["other"] is not None


def test_the_relay_is_measured_beside_both_its_rivals(results: dict[str, Any]) -> None:
    """Ours, another outbox's relay and the bare ceiling, with the CPU of relay, database and broker."""
    result = results["relay"]
    assert {result["roles"][role] for role in ("ours", "other", "ceiling")} <= set(result["samples"])
    assert set(result["cpu_us"]["manage.py relay"]) == {"relay", "postgres", "valkey"}


def test_saved_results_become_tables(results: dict[str, Any], tmp_path: Path) -> None:
    """``--render`` makes the tables of the page from what ``--json`` printed; the later of two results counts."""
    file = tmp_path / "figures.jsonl"
    relay = results["relay"]
    file.write_text("".join(json.dumps({**relay, "rounds": rounds}) + "\n" for rounds in (1, 7)))
    done = bench("--render", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == render([{**relay, "rounds": 7}]).strip()
    assert "| manage.py relay |" in done.stdout


def test_tables_go_into_the_page_between_its_marks(results: dict[str, Any], tmp_path: Path) -> None:
    """What stood there before is replaced; the words around it stay; a page without marks is left alone."""
    file, page = tmp_path / "figures.jsonl", tmp_path / "page.md"
    file.write_text(json.dumps(results["relay"]) + "\n")
    page.write_text(f"before\n{START}\nold figures\n{END}\nafter\n")
    assert bench("--render", str(file), "--into", str(page)).returncode == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "### relay" in text
    assert "old figures" not in text
    page.write_text("no marks\n")
    assert bench("--render", str(file), "--into", str(page)).returncode == 1
    assert page.read_text() == "no marks\n"


def test_a_bad_option_is_answered_in_words() -> None:
    """Exit code 2, the known names, no traceback."""
    for argv, told in (
        (["tea"], "relay"),
        (["relay", "--rounds", "0"], "from 1 on"),
        ([], "which benchmark"),
    ):
        done = bench(*argv)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_a_file_that_holds_no_results_is_told(tmp_path: Path) -> None:
    """Exit code 1 and the line that is wrong."""
    file = tmp_path / "figures.jsonl"
    file.write_text("nonsense\n")
    done = bench("--render", str(file))
    assert done.returncode == 1
    assert "line 1" in done.stderr
    assert "Traceback" not in done.stderr
