"""Todoke's platform: a transactional outbox, its relay, and sagas, for Django and Celery.

Import from :mod:`outbox.api` (and :mod:`outbox.saga.api`); everything else is private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unittest import TestSuite


def load_tests(_loader: Any, tests: TestSuite, _pattern: str | None) -> TestSuite:
    """Keep ``manage.py test`` out, where this package lies beside it: there is no test in here.

    The search for tests imports each package that it comes through. Those of sagas and of the admin define models and
    pages of applications that need not be installed. (The hook is unittest's ``load_tests`` protocol.)
    """
    return tests
