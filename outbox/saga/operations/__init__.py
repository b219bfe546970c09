"""What people do with sagas: each is one transaction, with who and why in the history.

All of them join the caller's transaction, if there is one, and refuse in words what the saga's state does not allow;
then nothing was changed.
"""

from __future__ import annotations

from outbox.saga.operations.going_on import stopped_at
from outbox.saga.operations.one_step import mark_done, skip
from outbox.saga.operations.resuming import resume, retry_now
from outbox.saga.operations.whole import cancel, compensate_now, pause, unpause

__all__ = [
    "cancel",
    "compensate_now",
    "mark_done",
    "pause",
    "resume",
    "retry_now",
    "skip",
    "stopped_at",
    "unpause",
]
