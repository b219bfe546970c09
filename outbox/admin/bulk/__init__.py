"""Redrive and discard of everything that matches: asked for on a page, done by a durable task.

- :mod:`outbox.admin.bulk.asking`: the page that counts, asks why, and starts.
- :mod:`outbox.admin.bulk.work`: the task. It outlives the browser, and a worker that dies.
- :mod:`outbox.admin.bulk.watching`: how far each is, and the button that stops it.
"""

from outbox.admin.bulk.watching import BulkOperationAdmin

__all__ = ["BulkOperationAdmin"]
