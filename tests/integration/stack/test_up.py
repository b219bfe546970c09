"""`python -m project.stack up`, `status` and `env`, with real servers and stand-ins for the application."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from project.stack.__main__ import main
from project.stack.background import background_stack
from project.stack.errors import AlreadyRunningError, StackError
from project.stack.runinfo import read_run, running
from project.stack.state import PROJECT
from tests.integration.stack.programs import Program, is_running, processes_of

DRIVER = Path(__file__).with_name("drive_up.py")
UNSET = ("DATABASE_URL", "BROKER_URL", "PORT", "TODOKE_OPERATOR_PASSWORD", "TODOKE_CUSTOMER_PASSWORD")

ELSEWHERE = {"DATABASE_URL": "postgres://a@b/c", "BROKER_URL": "redis://b"}  # the stand-ins do not connect

Start = Callable[..., Program]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, open_state: Path) -> None:
    """No variable of the person who runs the tests reaches the stack."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TODOKE_HOME", str(open_state))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "project.stack", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_up_is_what_is_meant_where_no_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """``script/server`` alone, or with up's options; it hands on what it is given."""
    asked: list[bool] = []
    monkeypatch.setattr("project.stack.up.up", lambda *, attended: asked.append(attended))
    assert [main(given) for given in ([], ["--unattended"], ["up"], ["up", "--unattended"])] == [0] * 4
    assert asked == [True, False, True, False]
    assert command("status").returncode == 3
    assert "[COMMAND]" in command("--help").stdout
    assert 'project.stack "$@"' in (PROJECT / "script" / "server").read_text()


def test_a_whole_life(start: Start, open_state: Path) -> None:
    """Ready is said once, with addresses and new accounts; others see it; a signal stops all in order."""
    program = start(DRIVER, "up")
    program.await_line("Accounts, shown this once")
    program.await_line("user flower, password")
    assert program.lines.count("Todoke is ready.") == 1
    info = running()
    assert info is not None
    assert all(url in program.output for url in info.urls.values())
    assert info.env["TODOKE_OPERATOR_PASSWORD"] in program.output
    assert set(info.processes) == {"postgres", "valkey", "web", "worker"}
    with psycopg.connect(info.env["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    status, second, env = command("status"), command("up"), command("env")
    assert status.returncode == second.returncode == env.returncode == 0
    assert info.urls["shop"] in status.stdout
    assert second.stdout == f"It runs already, and nothing was started. {status.stdout}"
    shell = subprocess.run(
        ["sh", "-c", f'{env.stdout}\nprintf %s "$DATABASE_URL"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == info.env["DATABASE_URL"]

    program.signal(signal.SIGTERM)
    assert program.ended() == 0
    assert processes_of(open_state) == []
    assert command("status").returncode == 3
    assert command("env").returncode == 3

    again = start(DRIVER, "up")
    again.await_line("generated passwords, Flower")
    assert info.env["TODOKE_OPERATOR_PASSWORD"] not in again.output


def test_leftovers_of_a_killed_stack_are_ended(start: Start, open_state: Path) -> None:
    """With the stack and its guard killed, the processes stay; they are not reported as a stack, and the next
    start ends them."""
    program = start(DRIVER, "up")
    program.await_line("Todoke is ready.")
    left = processes_of(open_state)
    guard = next(
        p for p in psutil.Process(program.process.pid).children() if "project.stack.guard" in p.cmdline()
    )
    guard.kill()
    program.signal(signal.SIGKILL)
    program.process.wait()
    assert any(map(is_running, left))
    assert (open_state / "run.json").exists()
    assert read_run() is None

    again = start(DRIVER, "up")
    again.await_line("that an earlier, killed stack had left behind")
    again.await_line("Todoke is ready.")
    assert not any(map(is_running, left))


def test_a_death_at_the_start_leaves_nothing(start: Start, open_state: Path) -> None:
    """When a process dies at its start the servers stop too: exit code 1, no process, no note of a stack."""
    program = start(DRIVER, "up", STANDIN_FAILS="1", BROKER_URL=ELSEWHERE["BROKER_URL"])
    assert program.ended() == 1
    assert "todoke: worker ended with exit code 1 at its start. Its last lines:" in program.output
    assert processes_of(open_state) == []
    assert not (open_state / "run.json").exists()


def test_addresses_replace_the_embedded_servers(start: Start, open_state: Path) -> None:
    """With DATABASE_URL and BROKER_URL set no server is started, and the processes get these addresses."""
    program = start(DRIVER, "up", **ELSEWHERE)
    program.await_line("Todoke is ready.")
    info = running()
    assert info is not None
    assert set(info.processes) == {"web", "worker"}
    assert ELSEWHERE.items() <= info.env.items()
    assert not (open_state / "servers").exists()


def test_a_given_password_is_used_and_not_printed(start: Start, open_state: Path) -> None:
    """The environment's password for the operator wins, and is neither shown nor written down."""
    program = start(DRIVER, "up", TODOKE_OPERATOR_PASSWORD="given-by-me", **ELSEWHERE)
    program.await_line("(as set by TODOKE_OPERATOR_PASSWORD)")
    info = running()
    assert info is not None
    assert info.env["TODOKE_OPERATOR_PASSWORD"] == "given-by-me"
    assert "given-by-me" not in program.output + (open_state / "secrets.json").read_text()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "eighty", "PORT=eighty is not a port"),
        ("DATABASE_URL", "mysql://a@b/c", "Todoke needs PostgreSQL"),
        ("BROKER_URL", "localhost", "BROKER_URL is not an address"),
        ("FLOWER_BASIC_AUTH", "secret", "FLOWER_BASIC_AUTH must be one user:password"),
    ],
)
def test_bad_values_are_explained(
    start: Start, open_state: Path, name: str, value: str, message: str
) -> None:
    """A variable that cannot work: exit code 1 and one line that says what to do, before anything starts."""
    program = start(DRIVER, "up", **{name: value})
    assert program.ended() == 1
    assert len(program.lines) == 1
    assert message in program.output
    assert not (open_state / "servers").exists()


@pytest.fixture
def stand_in_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """`background_stack` starts the driver in the place of the real program."""
    real = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        program = [sys.executable, str(DRIVER), *command[3:]]
        started: subprocess.Popen[bytes] = real(program, **options)  # type: ignore[call-overload]
        return started

    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("project.stack.background.subprocess.Popen", popen)


def test_a_stack_in_the_background(stand_in_stack: None, open_state: Path) -> None:
    """For the block there is a ready stack, which others find; then there is none. No log has passwords."""
    with background_stack() as info:
        assert running() == info
        with pytest.raises(AlreadyRunningError), background_stack():
            pass
        password = info.env["TODOKE_CUSTOMER_PASSWORD"]
    assert processes_of(open_state) == []
    assert running() is None
    assert password not in (open_state / "logs" / "stack.log").read_text()


def test_a_stack_that_does_not_start_in_the_background(
    stand_in_stack: None, monkeypatch: pytest.MonkeyPatch, open_state: Path
) -> None:
    """The error has the end of the log, with the reason."""
    monkeypatch.setenv("STANDIN_FAILS", "1")
    with pytest.raises(StackError, match="worker ended with exit code 1"), background_stack():
        pass
    assert processes_of(open_state) == []
