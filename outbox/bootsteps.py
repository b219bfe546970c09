"""What is added to a Celery worker's main process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import bootsteps
from kombu.common import ignore_errors

PAUSE = 0.1
"""Seconds that the events of tasks wait for others."""


class EventsTogether(bootsteps.StartStopStep):
    """Has the events of tasks, which Flower lives on, sent a few times a second and together.

    Celery sends them each time round its loop, three times a task, and waits for the broker's answer each time:
    before a task goes to a child, and while others wait to be acknowledged. That was two fifths of the main process's
    work. Celery sends at once what it has many of; that stays.

    Not guaranteed: that the events of the last tenth of a second survive a worker that is killed.
    """

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, c: Any) -> None:
        """Each time that the consumer connects: its dispatcher is a new one."""
        if c.hub and c.event_dispatcher.on_send_buffered:
            c.event_dispatcher.on_send_buffered = Together(c.hub.call_later, c._flush_events)

    def stop(self, c: Any) -> None:
        """Send what waits."""
        if c.event_dispatcher:
            ignore_errors(c, c.event_dispatcher.flush)  # type: ignore[no-untyped-call]  # kombu ships no types


class Together:
    """Many calls within ``PAUSE`` seconds are one.

    Args:
        call_later: takes seconds and what to call then.
        call: what to call.
    """

    def __init__(
        self, call_later: Callable[[float, Callable[[], None]], Any], call: Callable[[], None]
    ) -> None:
        self._call_later = call_later
        self._call = call
        self._is_planned = False

    def __call__(self) -> None:
        """Plan a call, if none is planned."""
        if not self._is_planned:
            self._is_planned = True
            self._call_later(PAUSE, self._do)

    def _do(self) -> None:
        self._is_planned = False
        self._call()
