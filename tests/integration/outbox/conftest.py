"""Helpers for tests of the outbox on the real database."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction

from outbox.models import Message
from outbox.publish import send_command
from outbox.testing.plugin import outbox  # noqa: F401  (a fixture)
from tests.integration.outbox import sample  # noqa: F401  (declares the sample events and tasks)


@pytest.fixture
def messages(transactional_db: None):
    """Makes messages that are committed: ``messages(3)`` returns their ids."""

    def make(count: int = 1, consumer: str = "sample.add", **columns: object) -> list[UUID]:
        with transaction.atomic():
            ids = [send_command(consumer, {"a": n}) for n in range(count)]
            if columns:
                Message.objects.filter(id__in=ids).update(**columns)
        return ids

    return make
