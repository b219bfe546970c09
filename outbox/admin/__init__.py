"""The operator's console. Found by Django's admin autodiscovery; other applications build on its parts.

- :mod:`outbox.admin.base`: the admin class for reading with operations instead of editing.
- :mod:`outbox.admin.operations`: permitted and audited operations.
- :mod:`outbox.admin.dashboard`: the first page, and what others add to it.
- :mod:`outbox.admin.links`: where other applications register what messages link to.
"""

from outbox.admin import dashboard  # noqa: F401  (registers the dashboard's panels)
from outbox.admin.bulk import BulkOperationAdmin
from outbox.admin.controls import PauseAdmin, RateLimitAdmin
from outbox.admin.message import MessageAdmin

__all__ = ["BulkOperationAdmin", "MessageAdmin", "PauseAdmin", "RateLimitAdmin"]
