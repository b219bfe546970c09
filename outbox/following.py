"""What Celery sends after a task succeeded, sent together with the mark that it did.

Celery itself sends links and the chain's next task when the task function has returned: for us that would be after the
commit, and a crash in between would lose them. Sent here, they are rows of the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import signature

from outbox.capture import one_insert

if TYPE_CHECKING:
    from outbox.celery import DurableTask


def send_what_follows(task: DurableTask, result: Any) -> None:
    """Publish the running task's links and the next task of its chain, in the caller's transaction."""
    request = task.request
    options = {"parent_id": request.id, "root_id": request.root_id or request.id}
    if task.app.conf.task_inherit_parent_priority:
        options["priority"] = (request.delivery_info or {}).get("priority")
    with one_insert():
        for link in request.callbacks or ():
            signature(link, app=task.app).apply_async((result,), **options)
        if chain := request.chain:
            signature(chain[-1], app=task.app).apply_async((result,), chain=chain[:-1], **options)
