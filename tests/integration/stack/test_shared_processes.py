"""Processes that tests share: whichever is lost is noticed, by one test, and is there again for the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import Process
from tests.harness.shared import SharedPlatform


@pytest.fixture
def shared(transactional_db: None, tmp_path: Path) -> Iterator[SharedPlatform]:
    """A sandbox, so far."""
    made = SharedPlatform(tmp_path)
    yield made
    made.stop()


def living(shared: SharedPlatform) -> list[str]:
    """The programs that run."""
    return [process.name.split("-")[0] for process in shared.processes if process.popen.poll() is None]


def lose(process: Process) -> None:
    """End it behind everybody's back."""
    process.popen.kill()
    process.popen.wait()


def test_a_worker_that_was_lost_is_told_of_once(shared: SharedPlatform) -> None:
    """By name, with its exit code and what it printed; then there is a new set. What is sent to rest is no loss."""
    shared.work()
    shared.check()
    assert sorted(living(shared)) == ["beat", "sandbox", "worker", "worker"]
    lost = next(process for process in shared.processes if process.name.startswith("worker-outbox"))
    lose(lost)
    with pytest.raises(AssertionError, match=rf"{lost.name}, which .*exit code -9(?s:.*) ready\."):
        shared.work()
    assert living(shared) == ["sandbox"]
    shared.work()
    assert sorted(living(shared)) == ["beat", "sandbox", "worker", "worker"]
    shared.rest()
    shared.check()


def test_so_is_the_sandbox(shared: SharedPlatform) -> None:
    """Also at the end of a test, which is where fixtures look; and nothing is where nobody lost anything."""
    lose(shared.processes[0])
    with pytest.raises(AssertionError, match="sandbox, which"):
        shared.check()
    shared.check()
    shared.calm_sandbox()
    assert living(shared) == ["sandbox"]
    assert shared.outside.faults()
