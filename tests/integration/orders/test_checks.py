"""Settings of the shop that do not fit together are told at the start."""

from __future__ import annotations

from django.core.checks import run_checks
from pytest_django import Settings


def test_the_shop_and_its_outbox_share_a_database(settings: Settings) -> None:
    """An order and its saga are one transaction."""
    assert _ids() == []
    settings.OUTBOX = {**settings.OUTBOX, "DATABASE": "other"}
    assert _ids() == ["orders.E002"]


def test_a_call_ends_before_its_step_does(settings: Settings) -> None:
    """Otherwise the step is tried again while it still runs."""
    settings.GATEWAY_TIMEOUT_SECONDS = settings.STEP_TIMEOUT_SECONDS
    assert _ids() == ["orders.E001"]


def _ids() -> list[str | None]:
    return [found.id for found in run_checks(tags=["orders"])]
