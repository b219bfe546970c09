"""Beat is the way that is always there: what every other one has missed, its rounds find."""

from __future__ import annotations

import pytest
from redis import Redis

from tests import servers
from tests.harness.processes import Platform
from tests.harness.proxy import Proxy
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

FAILED = "Couldn't apply scheduled task"


def test_beat_sends_again_once_the_broker_is_back(platform: Platform, broker: Redis) -> None:
    """However often it has tried meanwhile: it keeps one producer as long as it lives."""
    with Proxy(servers.SERVERS.broker_url) as proxy:
        schedule = str(platform.directory / "beat")
        beat = platform.start("beat", "celery", "-A", "project", "beat", "-s", schedule, BROKER_URL=proxy.url)
        wait_until(lambda: broker.llen("outbox"), "beat to send")
        proxy.refuse()
        wait_until(lambda: beat.output.count(FAILED) > 2, "beat to fail more than once")
        proxy.heal()
        broker.delete("outbox")
        wait_until(lambda: broker.llen("outbox"), "beat to send again")
