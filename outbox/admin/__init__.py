"""The operator's console. Found by Django's admin autodiscovery; other applications build on its parts.

- :mod:`outbox.admin.base`: the admin class for reading with operations instead of editing.
- :mod:`outbox.admin.operations`: permitted and audited operations.
- :mod:`outbox.admin.links`: where other applications register what messages link to.
"""

from outbox.admin.message import MessageAdmin

__all__ = ["MessageAdmin"]
