"""Which tests run side by side where pytest-xdist runs several at once: those of different files, mostly."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

SHARING = ("tests/browser/", "tests/integration/outbox/drop_in/")
"""Folders whose tests share processes: they run one after the other."""

ON_THEIR_OWN = ("tests/chaos/", "tests/integration/outbox/test_portability.py")
"""Where tests take long and share nothing, not even a file's fixtures: each runs beside any other."""


class SideBySide(LoadScopeScheduling):
    """Gives each of pytest-xdist's processes one group of tests after the other.

    pytest-xdist 3.8 would do so by marks, but with pytest 9.2 they are without effect there.
    """

    def _split_scope(self, nodeid: str) -> str:
        """The group that the test belongs to."""
        if nodeid.startswith(ON_THEIR_OWN):
            return nodeid
        return next((folder for folder in SHARING if nodeid.startswith(folder)), nodeid.partition("::")[0])
