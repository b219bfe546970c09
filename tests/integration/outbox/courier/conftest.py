"""A courier whose transport, and whose wake-ups, the test has in hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

import pytest
from django.db import transaction

from outbox.claims import Claimed
from outbox.publish import send_command
from outbox.relay import courier, handing_over, wakeup
from outbox.relay.courier import Courier
from outbox.relay.per_process import PerProcess
from outbox.transports.base import Transport
from outbox.transports.memory import MemoryTransport
from tests.integration.outbox import sample  # noqa: F401  (declares the task that messages are for)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts wake-ups of relays instead of sending them."""
    calls: list[str] = []
    for module in (wakeup, courier):
        monkeypatch.setattr(module, "wake", lambda: calls.append("woken"))
    return calls


@pytest.fixture
def hire(settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Transport], Courier]]:
    """Makes the courier of this process, sending through a transport of the test's own."""
    settings.OUTBOX = {"WAKE_UP": ("direct", "task")}
    hired: list[Courier] = []

    def make(transport: Transport) -> Courier:
        hired.append(Courier(transport))
        monkeypatch.setattr(handing_over, "_courier", PerProcess(lambda: hired[-1], lambda _: True))
        return hired[-1]

    yield make
    for one in hired:
        one.stop()


@pytest.fixture
def transport(hire: Callable[[Transport], Courier], woken: list[str]) -> MemoryTransport:
    """What a courier that is at work sends through."""
    made = MemoryTransport()
    hire(made)
    return made


class Raising(MemoryTransport):
    """A transport that breaks in its own way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Break."""
        raise self.error


class Hanging(MemoryTransport):
    """A broker that answers only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Wait for the answer."""
        assert self.answers.wait(30)
        return super().send(messages)


def publish(count: int = 1, **options: object) -> list[UUID]:
    """Commit some messages."""
    with transaction.atomic():
        return [send_command("sample.add", {"a": n}, **options) for n in range(count)]
