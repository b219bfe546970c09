"""Outside services: what cannot work is refused where it is declared; who needs none is not asked."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from outbox.api import OutboxError
from outbox.saga.api import Breaker, Limit
from outbox.saga.dependencies import gate
from outbox.saga.models import Saga
from tests.integration.saga.conftest import deliver, sent
from tests.integration.saga.services import COURIER

pytestmark = pytest.mark.usefixtures("transactional_db", "world")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"concurrency": 0}, "concurrency must be greater than zero"),
        ({"per_key": Limit(per_second=-1.0)}, "per_key.per_second must be greater than zero"),
        ({"breaker": Breaker(cooldown=0)}, "breaker.cooldown must be greater than zero"),
        ({"breaker": Breaker(ramp=4000)}, "breaker.ramp must be at most 3600 s, not 4000"),
        ({"name": ""}, "1 to 100 characters"),
    ],
)
def test_what_cannot_work_is_refused_in_words(given: dict[str, Any], complaint: str) -> None:
    """At import, with the name of the value."""
    with pytest.raises(OutboxError, match=re.escape(complaint)):
        replace(COURIER, **given)


def test_a_step_without_a_service_asks_nobody(saga: Saga) -> None:
    """Nothing of one is written, nor read but by what loads the saga."""
    (message,) = sent()
    with CaptureQueriesContext(connection) as queries:
        deliver(message)
    texts = [query["sql"] or "" for query in queries]
    assert not [sql for sql in texts if "saga_breaker" in sql and "FROM saga_saga" not in sql]
    assert gate.Reason.AWAY == "away"
