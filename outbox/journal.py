"""Who did what to the outbox, and why: one line in the log, and entries in Django's admin history."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils import translation

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    Actor: TypeAlias = AbstractBaseUser | str

logger = logging.getLogger(__name__)

ADDED, CHANGED, REMOVED = 1, 2, 3
"""As in ``django.contrib.admin.models``, which can only be imported where that application is installed."""


def name_of(actor: Actor) -> str:
    """How rows name whoever did something: a user's login name, or the text as it is."""
    return (actor if isinstance(actor, str) else actor.get_username())[:200]


def note(actor: Actor, objects: Sequence[models.Model], flag: int, what: str) -> None:
    """Write down what was done, in the caller's transaction: a line in the log, and :func:`enter`."""
    for thing in objects:
        logger.info("%s (%s, by %s)", what, thing, name_of(actor) or "nobody named")
    enter(actor, objects, flag, what)


def enter(actor: Actor, objects: Sequence[models.Model], flag: int, what: str) -> None:
    """Add an entry to the admin's history of each object, in the caller's transaction.

    Args:
        actor: a user, or a name. A name that is no user's leaves no entries: they belong to users.
        objects: what it was done to.
        flag: ``ADDED``, ``CHANGED`` or ``REMOVED``.
        what: a sentence, such as ``Paused: the provider is down``.
    """
    if isinstance(actor, str) or not objects or not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import LogEntry

    with translation.override(
        settings.LANGUAGE_CODE
    ):  # the audit speaks one language, whoever acts and reads
        LogEntry.objects.log_actions(actor.pk, list(objects), flag, what)
