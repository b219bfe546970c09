"""The supervisor, with real processes that are started, signalled and killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.integration.stack.programs import Program, await_true

DRIVER = Path(__file__).with_name("drive_supervisor.py")

Start = Callable[..., Program]
Processes = Callable[[], list[psutil.Process]]


def note(name: str, what: str) -> str:
    return f"open('events', 'a').write('{name} {what}\\n')"


def obedient(name: str) -> dict[str, Any]:
    """A process that notes its start and its stop, and stops when asked."""
    code = (
        f"def stop(*_):\n    {note(name, 'stopped')}\n    sys.exit(0)\n"
        f"signal.signal(signal.SIGTERM, stop)\n{note(name, 'started')}\n"
        "say('ready')\nwhile True: signal.pause()"
    )
    return {"name": name, "code": code, "ready": "ready"}


def stubborn(name: str, stop_timeout: float) -> dict[str, Any]:
    """A process that ignores SIGTERM and has a child that does so too."""
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.fork()\nsay('ready')\nwhile True: time.sleep(60)"
    )
    return {"name": name, "code": code, "ready": "ready", "stop_timeout": stop_timeout}


def once(name: str, code: str = "") -> dict[str, Any]:
    return {"name": name, "code": f"{code}\n{note(name, 'done')}", "ready": None}


def dying(name: str, code: int) -> dict[str, Any]:
    return {"name": name, "code": f"say('the reason'); sys.exit({code})", "ready": "ready"}


def drive(start: Start, state: Path, *stages: list[dict[str, Any]]) -> Program:
    return start(DRIVER, str(state), json.dumps(stages))


@contextmanager
def inherited_by_children(action: signal.Handlers) -> Iterator[None]:
    """What becomes of SIGHUP in programs that are started here, also when these tests run under `nohup`."""
    old = signal.signal(signal.SIGHUP, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, old)


def events(state: Path) -> list[str]:
    return (state / "events").read_text().splitlines()


def test_stages_start_in_order_and_stop_in_reverse(
    start: Start, tmp_path: Path, processes: Processes
) -> None:
    """A stage begins when the one before is ready, and ends before the one before ends; nothing stays."""
    stages = [obedient("a")], [once("b", "time.sleep(0.2)")], [obedient("c"), obedient("d")]
    program = drive(start, tmp_path, *stages)
    program.await_line("ALL READY")
    program.signal(signal.SIGTERM)
    assert program.ended() == 0
    happened = events(tmp_path)
    assert happened[:2] == ["a started", "b done"]
    assert set(happened[2:4]) == {"c started", "d started"}
    assert set(happened[4:6]) == {"c stopped", "d stopped"}
    assert happened[6:] == ["a stopped"]
    assert processes() == []


def test_a_death_at_the_start_stops_all_and_is_explained(
    start: Start, tmp_path: Path, processes: Processes
) -> None:
    """When a process dies at its start: its name, exit code and last lines; the rest stops; exit code 1."""
    program = drive(start, tmp_path, [obedient("a")], [obedient("b"), dying("c", 7)], [obedient("d")])
    assert program.ended() == 1
    assert "c ended with exit code 7 at its start" in program.output
    assert "    the reason" in program.lines
    assert events(tmp_path)[-1] == "a stopped"
    assert "d started" not in events(tmp_path)
    assert processes() == []


def test_a_failed_one_shot_stops_the_start(start: Start, tmp_path: Path, processes: Processes) -> None:
    """A process that runs once must succeed before anything after it starts."""
    program = drive(start, tmp_path, [once("a", "sys.exit('no')")], [obedient("b")])
    assert program.ended() == 1
    assert "a ended with exit code 1 at its start" in program.output
    assert not (tmp_path / "events").exists()
    assert processes() == []


def test_ending_without_getting_ready_is_a_failure(start: Start, tmp_path: Path) -> None:
    """A process that ends without getting ready is a failure, also with exit code 0."""
    program = drive(start, tmp_path, [{"name": "a", "code": "pass", "ready": "ready"}])
    assert program.ended() == 1
    assert "a ended with exit code 0 at its start. It printed nothing." in program.output


def test_a_later_death_is_repaired(start: Start, tmp_path: Path, processes: Processes) -> None:
    """A process that dies later is said to have died, and runs again, without what it left behind."""
    code = "if os.fork(): say(f'ready {os.getpid()}')\nwhile True: time.sleep(60)"
    program = drive(start, tmp_path, [{"name": "a", "code": code, "ready": "ready"}])
    program.await_line("ALL READY")
    os.kill(int(program.lines[0].split()[-1]), signal.SIGKILL)
    program.await_line("a was ended by SIGKILL; starting it again")
    program.await_line("| ready", count=2)
    await_true(lambda: len(processes()) == 2, "the forked child of the killed process still runs")
    program.signal(signal.SIGINT)
    assert program.ended() == 0
    assert processes() == []


def test_repeated_quick_deaths_end_the_stack(start: Start, tmp_path: Path, processes: Processes) -> None:
    """A process that keeps dying is given up after a few times: the rest stops, exit code 1."""
    code = "say('ready'); time.sleep(0.3); sys.exit('still broken')"
    program = drive(start, tmp_path, [obedient("a")], [{"name": "b", "code": code, "ready": "ready"}])
    assert program.ended() == 1
    assert "b ended with exit code 1 again and again" in program.output
    assert events(tmp_path)[-1] == "a stopped"
    assert processes() == []


def test_what_does_not_stop_is_killed_with_its_children(
    start: Start, tmp_path: Path, processes: Processes
) -> None:
    """A process that ignores the request is killed after its time, and its children with it."""
    program = drive(start, tmp_path, [obedient("a")], [stubborn("b", stop_timeout=0.3)])
    program.await_line("ALL READY")
    assert len(processes()) == 3
    program.signal(signal.SIGINT)
    assert program.ended() == 0
    assert events(tmp_path)[-1] == "a stopped"
    assert processes() == []


def test_a_second_signal_leaves_at_once(start: Start, tmp_path: Path, processes: Processes) -> None:
    """The second Ctrl-C does not wait for anybody: everything is killed, exit code 130."""
    program = drive(start, tmp_path, [stubborn("a", stop_timeout=60)])
    program.await_line("ALL READY")
    began = time.monotonic()
    program.signal(signal.SIGINT)
    program.signal(signal.SIGTERM)
    assert program.ended() in {128 + signal.SIGINT, 128 + signal.SIGTERM}  # the order of arrival is not fixed
    assert time.monotonic() - began < 5
    assert processes() == []


def test_a_signal_during_the_start_stops_it(start: Start, tmp_path: Path, processes: Processes) -> None:
    """Ctrl-C while something is not ready yet ends the start in order, with exit code 0."""
    never_ready = {"name": "b", "code": "say('thinking'); time.sleep(60)", "ready": "ready"}
    program = drive(start, tmp_path, [obedient("a")], [never_ready])
    program.await_line("thinking")
    program.signal(signal.SIGINT)
    assert program.ended() == 0
    assert events(tmp_path)[-1] == "a stopped"
    assert processes() == []


def test_the_end_of_the_terminal_is_heard_unless_ignored(
    start: Start, tmp_path: Path, processes: Processes
) -> None:
    """SIGHUP stops all in order, but not when the stack was started with it ignored, as `nohup` does."""
    with inherited_by_children(signal.SIG_DFL):
        program = drive(start, tmp_path, [obedient("a")])
    program.await_line("ALL READY")
    program.signal(signal.SIGHUP)
    assert program.ended() == 0
    assert processes() == []

    with inherited_by_children(signal.SIG_IGN):
        program = drive(start, tmp_path, [obedient("b")])
    program.await_line("ALL READY")
    program.signal(signal.SIGHUP)
    program.signal(
        signal.SIGTERM
    )  # a heard SIGHUP before it would make this the second signal, and the code 143
    assert program.ended() == 0
    assert events(tmp_path)[-1] == "b stopped"


def test_a_killed_supervisor_leaves_nothing(start: Start, tmp_path: Path, processes: Processes) -> None:
    """SIGKILL of the supervisor ends its processes and their children, also those that ignore SIGTERM."""
    program = drive(start, tmp_path, [obedient("a")], [stubborn("b", stop_timeout=60)])
    program.await_line("ALL READY")
    program.signal(signal.SIGKILL)
    program.process.wait()
    await_true(lambda: processes() == [], "processes of a killed supervisor still run")
    assert events(tmp_path)[-1] == "a stopped"
