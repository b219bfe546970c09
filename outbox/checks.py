"""System checks: what ``manage.py check`` says of the platform's settings, and of work that would not arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import current_app
from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning, register

from outbox.celery import DurableTask
from outbox.conf import conf
from outbox.events import all_types
from outbox.exceptions import InvalidSetting
from outbox.subscriptions import all_subscribers, subscribers_of
from outbox.versions import missing_upcasters

MACHINERY = ("celery.", "outbox.")
ADMIN = "django.contrib.admin"
FIRST = ("unfold", "unfold.contrib.filters")
"""Applications whose templates and admin site take the place of Django's, where they come before it."""


@register("outbox")
def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """``settings.OUTBOX`` has only known options, with values that can work."""
    try:
        return [Error(problem, id="outbox.E002") for problem in conf().problems()]
    except (InvalidSetting, TypeError) as error:
        return [Error(str(error), id="outbox.E001")]


@register("outbox")
def check_console(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Where Django's admin is installed, the outbox's pages in it find what they are made of."""
    return console_problems([config.name for config in apps.get_app_configs()])


@register("outbox")
def check_serializers(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Celery takes JSON only: whoever can write to the broker could run code through a pickle."""
    accepted = set(current_app.conf.accept_content)
    if accepted <= {"json", "application/json"}:
        return []
    return [
        Warning(
            f"Celery accepts {', '.join(sorted(accepted))}.",
            hint='Set CELERY_ACCEPT_CONTENT = ["json"].',
            id="outbox.W001",
        )
    ]


@register("outbox")
def check_events(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Every event has a subscriber, and a way up from each of its earlier versions."""
    found: list[CheckMessage] = []
    for kind in all_types():
        if not kind.optional and not subscribers_of(kind.name):
            found.append(
                Warning(
                    f"Nobody subscribes to {kind.name!r}: publishing it is an error.",
                    hint="Add a @subscribe, or declare it optional=True.",
                    id="outbox.W002",
                )
            )
        if missing := missing_upcasters(kind):
            found.append(
                Warning(
                    f"Nothing makes {kind.name!r} of version {', '.join(map(str, missing))} into the next one: "
                    "rows of that age would be Failed.",
                    hint="Add an @upcast, or ignore this when no such row can be left.",
                    id="outbox.W003",
                )
            )
    return found


@register("outbox")
def check_subscribers(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """No task of another function has a subscriber's name: Celery would run that one."""
    tasks = current_app.tasks
    return [
        Error(
            f"The subscriber {place} is called {name!r}, and so is another task: the other one would run.",
            hint="Give one of them a name= of its own.",
            id="outbox.E003",
        )
        for name, place in all_subscribers().items()
        if getattr(tasks.get(name), "subscriber", None) != place
    ]


@register("outbox")
def check_tasks(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Ordinary tasks are durable, unless they say that they are not."""
    past = sorted(
        name
        for name, task in current_app.tasks.items()
        if not isinstance(task, DurableTask)
        and not name.startswith(MACHINERY)
        and getattr(task, "durable", None) is not False
    )
    if not past:
        return []
    names = ", ".join(past[:5]) + (f" and {len(past) - 5} more" if len(past) > 5 else "")
    return [
        Warning(
            f"Tasks that go past the outbox, and can be lost: {names}.",
            hint='Create the application with Celery(..., task_cls="outbox.celery:DurableTask"), or say that you '
            "mean it with durable = False.",
            id="outbox.W004",
        )
    ]


def console_problems(installed: Sequence[str]) -> list[CheckMessage]:
    """What keeps the admin's pages from being shown.

    Args:
        installed: names of applications, in the order of ``INSTALLED_APPS``.
    """
    if ADMIN not in installed:
        return []
    needed = (*FIRST, "django.contrib.humanize")
    if missing := [name for name in needed if name not in installed]:
        place = f", before {ADMIN!r}" if missing[0] in FIRST else ""
        return [
            Error(
                f"The outbox's pages in the admin need {' and '.join(missing)}.",
                hint=f"Put {' and '.join(map(repr, missing))} into INSTALLED_APPS{place}.",
                id="outbox.E004",
            )
        ]
    if late := [name for name in FIRST if installed.index(name) > installed.index(ADMIN)]:
        return [
            Error(
                f"{' and '.join(late)} must come before {ADMIN}: else the admin has Django's pages, or none.",
                hint=f"In INSTALLED_APPS, move {' and '.join(map(repr, late))} before {ADMIN!r}.",
                id="outbox.E005",
            )
        ]
    return []
