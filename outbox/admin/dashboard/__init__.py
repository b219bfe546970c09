"""The console's first page: panels of live figures, each bounded in cost, each figure a link to the rows behind it.

- :mod:`outbox.admin.dashboard.panels`: what a panel is; other applications register theirs.
- :mod:`outbox.admin.dashboard.views`: the page, and a panel by itself for its refresh.
"""

from outbox.admin.dashboard import broker, failures, flow, overview, progress  # noqa: F401  (they register panels)
from outbox.admin.dashboard.panels import Figure, Panel, panel

__all__ = ["Figure", "Panel", "panel"]
