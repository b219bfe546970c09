"""Starts processes in order, keeps them running, and stops them in reverse order, leaving none behind."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Self

from project.stack.errors import StackError
from project.stack.guard import Guard
from project.stack.output import Printer
from project.stack.part import Part, ending, last_lines
from project.stack.runs import Run, end_run

POLL = 0.05  # seconds between two looks at starting processes
HEARS_WITHIN = 0.5  # seconds in which a signal is heard that just missed the wait
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class RestartPolicy:
    """When a process that died is started again. Times are in seconds.

    `quick`: a process that lived shorter died quickly; after `allowed` quick deaths in a row it is given up.
    The delay before a restart is `first_delay`, and doubles at each quick death up to `longest_delay`.
    """

    quick: float = 10.0
    allowed: int = 5
    first_delay: float = 1.0
    longest_delay: float = 30.0

    def delay(self, quick_deaths: int) -> float:
        """Return how long to wait after that many quick deaths in a row."""
        return min(self.first_delay * 2.0 ** max(quick_deaths - 1, 0), self.longest_delay)


DEFAULT_POLICY = RestartPolicy()


class StopRequested(Exception):
    """The person, or the system, asked the stack to stop."""


@dataclass
class _Member:
    """A part and its history."""

    part: Part
    started_at: float = 0.0
    quick_deaths: int = 0
    done: bool = field(default=False)


@dataclass(frozen=True)
class _Died:
    member: _Member
    started_at: float


@dataclass(frozen=True)
class _Restart:
    member: _Member


class _Stop:
    pass


class Supervisor:
    """Context manager around a set of processes; use it in the main thread, because it handles signals.

    SIGINT, SIGTERM and SIGHUP ask for an orderly stop: `start` and `watch` then raise StopRequested. A second
    such signal kills everything and ends this process at once. Leaving the context stops all parts in reverse
    order.
    """

    def __init__(
        self,
        run: Run,
        printer: Printer,
        *,
        on_change: Callable[[dict[str, int]], None] = lambda _: None,
        policy: RestartPolicy = DEFAULT_POLICY,
    ) -> None:
        """`on_change(names → process ids)` is called whenever a process was started or has ended."""
        self._policy = policy
        self._run = run
        self._printer = printer
        self._on_change = on_change
        self._guard = Guard(run)
        self._stages: list[list[_Member]] = []
        self._events: queue.SimpleQueue[_Died | _Restart | _Stop] = queue.SimpleQueue()
        self._stop_requested = False
        self._old_handlers: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        numbers = [number for number in STOP_SIGNALS if not _ignored_on_purpose(number)]
        self._old_handlers = {number: signal.signal(number, self._on_signal) for number in numbers}
        self._guard.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stop_all()
        finally:
            end_run(self._run.mark)
            self._guard.__exit__(kind, error, trace)
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)

    def request_stop(self) -> None:
        """Ask for an orderly stop, from any thread."""
        self._stop_requested = True
        self._events.put(_Stop())

    def start(self, stage: Sequence[Part]) -> None:
        """Start the parts of one stage in order, and wait until all are ready.

        Raises StackError when a part dies or does not get ready in time, StopRequested when asked to stop.
        """
        members = [_Member(part) for part in stage]
        self._stages.append(members)
        for member in members:
            self._raise_if_stopping()
            self._launch(member)
        for member in members:
            self._await_ready(member)

    def watch(self) -> None:
        """Restart parts that die, until asked to stop (StopRequested) or one dies too often (StackError)."""
        while True:
            match self._next_event():
                case _Died(member, started_at) if started_at == member.started_at and not member.done:
                    self._after_death(member)
                case _Restart(member):
                    self._restart(member)
            self._raise_if_stopping()

    def _next_event(self) -> _Died | _Restart | _Stop | None:
        """What has happened, or None every now and then: a signal that comes just before the wait does not end it, and
        Python runs its handler only after that."""
        try:
            return self._events.get(timeout=HEARS_WITHIN)
        except queue.Empty:
            return None

    def _launch(self, member: _Member) -> None:
        member.started_at = time.monotonic()
        try:
            member.part.start()
        except OSError as error:
            raise StackError(f"{member.part.name} cannot be started: {error}") from error
        threading.Thread(target=self._report_death, args=(member, member.started_at), daemon=True).start()
        self._report_change()

    def _report_death(self, member: _Member, started_at: float) -> None:
        member.part.wait()
        self._events.put(_Died(member, started_at))

    def _await_ready(self, member: _Member) -> None:
        part = member.part
        deadline = member.started_at + part.start_timeout
        while not part.ready:
            self._raise_if_stopping()
            if part.exit_code is not None and not part.ready:
                part.kill()  # what it left behind
                raise StackError(f"{part.name} {ending(part)} at its start. {last_lines(part)}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{part.name} was not ready after {part.start_timeout:.0f} s. {last_lines(part)}"
                )
            time.sleep(POLL)
        member.done = part.once

    def _after_death(self, member: _Member) -> None:
        part = member.part
        part.kill()  # what it left behind
        self._report_change()
        quick = time.monotonic() - member.started_at < self._policy.quick
        member.quick_deaths = member.quick_deaths + 1 if quick else 0
        if member.quick_deaths > self._policy.allowed:
            raise StackError(f"{part.name} {ending(part)} again and again. {last_lines(part)}")
        delay = self._policy.delay(member.quick_deaths)
        self._printer.say(f"{part.name} {ending(part)}; starting it again in {delay:g} s")
        timer = threading.Timer(delay, self._events.put, [_Restart(member)])
        timer.daemon = True
        timer.start()

    def _restart(self, member: _Member) -> None:
        try:
            self._launch(member)
        except StackError as error:
            self._printer.say(str(error))
            self._after_death(member)

    def _stop_all(self) -> None:
        for stage in reversed(self._stages):
            for member in reversed(stage):
                member.part.request_stop()
            for member in reversed(stage):
                member.part.stop()
            self._report_change()

    def _report_change(self) -> None:
        parts = [member.part for stage in self._stages for member in stage]
        self._on_change({part.name: part.pid for part in parts if part.pid is not None})

    def _raise_if_stopping(self) -> None:
        if self._stop_requested:
            raise StopRequested

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stop_requested:
            end_run(self._run.mark, patience=0)
            os._exit(128 + number)
        self.request_stop()


def _ignored_on_purpose(number: signal.Signals) -> bool:
    """Whether the person started this with `nohup`: then the end of the terminal is not to be heard."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN
