"""How a task ended, as Celery keeps it: in the transaction of the message's own mark, where that is possible.

Celery stores a task's result, counts its chord and calls its errbacks when the task function has returned: after the
commit, so that a crash in between would lose them. A chord would wait for ever. Where the result backend keeps its
tables in the outbox's database (django-celery-results does), they are written with the mark: a chord's body is a row
that commits together with the count that completed its header. With other result backends, results and chords stay
Celery's, after the commit.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

from billiard.einfo import ExceptionInfo
from celery.app.task import get_actual_ignore_result
from django.db import router

from outbox.conf import conf
from outbox.database import atomic
from outbox.models import Message

if TYPE_CHECKING:
    from outbox.celery import DurableTask

logger = logging.getLogger(__name__)

Done = tuple[str, ...]
"""Parts of a Celery request that are dealt with: Celery is to find them empty."""
FOLLOWING: Done = ("callbacks", "chain")
RESULT: Done = ("chord", "errbacks")


def record_success(task: DurableTask, result: Any) -> Done:
    """Store a result, and count it in its chord. Its links and chain are written already.

    Raises:
        EncodeError: the result is nothing that the result backend can hold.
    """
    if not keeps_results_here(task.backend):
        return FOLLOWING
    request = task.request
    store = not get_actual_ignore_result(task, request)
    task.backend.mark_as_done(request.id, result, request, store)
    return (*FOLLOWING, *RESULT)


def record_failure(task: DurableTask, message_id: UUID, error: Exception) -> Done:
    """Store a final failure, count it in its chord, fail its chain, and call its errbacks.

    An errback that is a function call runs here, and may fail: then all of this is left to Celery, after the commit.
    """
    try:
        with atomic():
            return _record_failure(task, message_id, error)
    except Exception:
        logger.exception("%s[%s]: its failure is left to Celery to record", task.name, message_id)
        return ()


def leave_out(request: Any, done: Done) -> None:
    """Take what is dealt with out of Celery's hands. To be called after the commit."""
    for name in done:
        setattr(request, name, None)
    if "chord" in done:
        request.ignore_result = True  # it is stored


def keeps_results_here(backend: Any) -> bool:
    """Whether a result backend's tables are in the outbox's database, so that both can share a transaction."""
    model = getattr(backend, "TaskModel", None)
    return model is not None and router.db_for_write(model) == conf().DATABASE


def _record_failure(task: DurableTask, message_id: UUID, error: Exception) -> Done:
    request, backend = task.request, task.backend
    traceback = ExceptionInfo((type(error), error, error.__traceback__)).traceback
    if not keeps_results_here(backend):
        if request.errbacks:
            backend._call_task_errbacks(request, error, traceback)
        return ("errbacks",)
    ignored = get_actual_ignore_result(task, request)
    store = bool(task.store_errors_even_if_ignored) if ignored else True
    backend.mark_as_failure(request.id, error, traceback, request=request, store_result=store)
    if request.chord:
        _leave_chord(message_id)
    return ("chain", *RESULT)


def _leave_chord(message_id: UUID) -> None:
    """It has been counted: redriven, it runs and stores its result, but is not counted again."""
    message = Message.objects.using(conf().DATABASE).get(pk=message_id)
    message.payload["embed"].pop("chord", None)
    message.save(update_fields=["payload"])
