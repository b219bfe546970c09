"""Messages that name people: for ``celery -A project worker -I tests.integration.outbox.watched``."""

from __future__ import annotations

from dataclasses import dataclass

from celery import shared_task

from outbox.api import Personal, event, subscribe


@event("watched.moved")
@dataclass(frozen=True)
class Moved:
    customer: str
    to: Personal[str]


@subscribe(Moved, name="watched.note_it", queue="watched")
def note_it(event: Moved) -> None:
    """Wants to know where to."""


@shared_task(name="watched.write")
def write(letter: str, recipient: Personal[str], text: str = "") -> str:
    """A task of which one parameter is a person's name, and another one may hold anything."""
    return f"{letter} to {recipient}: {text}"


@shared_task(name="watched.count")
def count(number: int) -> int:
    """Nothing of it is anybody's."""
    return number
