"""Programs that tests start, and the processes that these leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from project.stack.runs import VARIABLE
from project.stack.state import PROJECT

PATIENCE = 20.0


class Program:
    """A started program, its output line by line, and its end."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"} | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def await_line(self, text: str, count: int = 1) -> None:
        """Wait until `count` lines have `text` in them."""
        with self._news:
            found = self._news.wait_for(lambda: self._ended or self._count(text) >= count, PATIENCE)
        assert found, f"{text!r} was not printed in time:\n{self.output}"
        assert self._count(text) >= count, f"ended without printing {text!r}:\n{self.output}"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _count(self, text: str) -> int:
        return sum(text in line for line in self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def processes_of(state: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _run_of(process).startswith(f"{state}:")]


def is_running(process: psutil.Process) -> bool:
    """Whether `process` still does something; a zombie, which nobody has collected yet, does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def await_true(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition()`; fail with `what` when it does not become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _run_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(VARIABLE, ""))
    except (psutil.Error, OSError):
        return ""
