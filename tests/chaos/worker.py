"""The project's Celery application, for workers that are to die, to double messages or to know another version.

``celery -A tests.chaos.worker``: the environment says what for. Nothing of it is in the product.

CHAOS_POINT: a named point of an attempt: the process kills itself there, with the chance ``CHAOS_CHANCE`` at each pass.
CHAOS_COPIES: how often everything is sent to the broker, shuffled, some of it late.
CHAOS_VERSION: ``2`` registers the next version of the fulfilment, too.
CHAOS_NOTES: the file in which each fault is noted.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import django

from project.celery import app

django.setup()

from outbox.claims import Claimed  # noqa: E402
from outbox.transports.celery import CeleryTransport  # noqa: E402

__all__ = ["app"]

REMEMBERED = 200


def note(what: str) -> None:
    """Write down that a fault has hit: one write, so that lines of several processes do not mix."""
    line = f"{time.time()} {what}\n".encode()
    file = os.open(Path(os.environ["CHAOS_NOTES"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)


def die_at(point: str, chance: float) -> None:
    """Have this process kill itself at a point of an attempt, at random passes."""
    from outbox.saga.execution import Attempt

    act, record = Attempt.act, Attempt.record

    def die(attempt: Attempt) -> None:
        if _draw() < chance:
            note(f"{point} {attempt.saga_id}")
            os.kill(os.getpid(), signal.SIGKILL)

    def dying_act(self: Attempt) -> Any:
        if point == "before-call":
            die(self)
        answer = act(self)
        if point == "after-call" or (point == "in-compensation" and self._held().direction == "compensation"):
            die(self)
        return answer

    def dying_record(self: Attempt, answer: Any) -> Any:
        outcome = record(self, answer)
        if point == "after-record":
            die(self)
        return outcome

    Attempt.act, Attempt.record = dying_act, dying_record  # type: ignore[method-assign]


def send_copies(count: int) -> None:
    """Have the relay send each message so often, in any order, and some old ones again."""
    send = CeleryTransport.send
    sent: deque[Claimed] = deque(maxlen=REMEMBERED)

    def send_again(self: CeleryTransport, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        errors = send(self, messages)
        sent.extend(messages)
        for _ in range(count - 1):
            copies = [*messages, *random.sample(list(sent), min(3, len(sent)))]
            random.shuffle(copies)
            send(self, copies)
            note(f"copies {len(copies)}")
        return errors

    CeleryTransport.send = send_again  # type: ignore[method-assign]


def register_next_version() -> None:
    """The fulfilment with one step more, beside the present one."""
    from dataclasses import replace

    from orders.fulfilment import fulfilment
    from outbox.saga.api import Step, StepCall, local, register

    def pack(call: StepCall) -> dict[str, str]:
        """What the next version has in addition."""
        return {"packed": call.key}

    def unpack(call: StepCall) -> None:
        """Its undo."""

    steps = list(fulfilment.steps)
    steps.insert(2, Step("packing", action=local(pack), compensation=local(unpack), queue="default"))
    register(replace(fulfilment, steps=steps, version=fulfilment.version + 1))


def _draw() -> float:
    """Anew in each process: a forked child must not repeat its brothers."""
    global _random, _pid
    if _pid != os.getpid():
        _pid, _random = os.getpid(), random.Random(f"{os.environ.get('CHAOS_SEED')} {os.getpid()}")
    return _random.random()


_pid = 0
_random = random.Random()

_WISHES: dict[str, Callable[[str], None]] = {
    "CHAOS_POINT": lambda point: die_at(point, float(os.environ["CHAOS_CHANCE"])),
    "CHAOS_COPIES": lambda count: send_copies(int(count)),
    "CHAOS_VERSION": lambda _: register_next_version(),
}
for _name, _do in _WISHES.items():
    if os.environ.get(_name):
        _do(os.environ[_name])
