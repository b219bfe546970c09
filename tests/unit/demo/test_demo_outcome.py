"""What the demonstration reads from the database, shows and reports."""

from __future__ import annotations

import io
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from rich.console import Console

from orders.models import Order
from outbox.saga.models import Saga, SagaStep
from project.demo.display import Display
from project.demo.report import Outcome, print_outcome
from project.demo.standing import Standing, reasons, seconds_to_shipped, standing_of, unended
from tests.harness import shop

MIXED = Standing(
    orders=Counter(shipped=3, cancelled=1, needs_attention=1, paid=1),
    sagas=Counter(completed=3, compensated=1, needs_attention=1, running=1),
    retries=4,
)


def console(**options: Any) -> Console:
    return Console(file=io.StringIO(), width=100, highlight=False, **options)


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def end(order: Order, seconds: int) -> None:
    """The order is shipped so long after it was placed, with two retries on the way."""
    Saga.objects.filter(key=str(order.id)).update(status=Saga.Status.COMPLETED, ended_at=F("started_at"))
    SagaStep.objects.filter(saga__key=str(order.id)).update(attempt=3)
    ended_at = F("placed_at") + timedelta(seconds=seconds)
    Order.objects.filter(pk=order.pk).update(status=Order.Status.SHIPPED, ended_at=ended_at)


@pytest.mark.django_db
def test_the_standing_is_that_of_these_orders() -> None:
    """Counts, retries and times concern the given orders only; times are the database's."""
    shop.product()
    orders = [shop.order() for _ in range(4)]
    for seconds, order in enumerate(orders[:3], start=1):
        end(order, seconds)
    mine = [order.id for order in orders[1:]]
    standing = standing_of(mine)
    assert standing == Standing(Counter(shipped=2, placed=1), Counter(completed=2, running=1), 4)
    assert (standing.completed, standing.compensated, standing.parked, standing.ended) == (2, 0, 0, 2)
    assert seconds_to_shipped(mine) == pytest.approx((2.5, 2.95))
    assert [order.id for order in unended(mine)] == [orders[3].id]


@pytest.mark.django_db
def test_nothing_shipped_has_no_times() -> None:
    """Without a shipped order there is no percentile; without a cancelled one no reason."""
    shop.product()
    ids = [shop.order().id]
    assert seconds_to_shipped(ids) is None
    assert reasons(ids) == []
    Order.objects.filter(id__in=ids).update(reason="Sold out.")
    assert reasons(ids) == [("Sold out.", 1)]


def test_the_object_for_machines() -> None:
    """Exactly the promised keys; the verdict is `clean` or the list of findings."""
    assert Outcome(6, MIXED, (1.23456, 2.0), []).as_json() == {
        "orders": 6, "completed": 3, "compensated": 1, "parked": 1, "retries": 4,
        "seconds_p50": 1.235, "seconds_p95": 2.0, "audit": "clean",
    }  # fmt: skip
    broken = Outcome(6, Standing(), None, ["Order 1 has no saga."]).as_json()
    assert (broken["seconds_p50"], broken["audit"]) == (None, ["Order 1 has no saga."])


@pytest.mark.parametrize(
    ("orders", "findings", "good"), [(5, [], True), (6, [], False), (5, ["wrong"], False)]
)
def test_good_means_all_ended_and_clean(orders: int, findings: list[str], good: bool) -> None:
    """A parked order has reached an end, one under way has not; any finding spoils it."""
    assert Outcome(orders, MIXED, None, findings).good is good


def test_the_table_says_all() -> None:
    """Numbers, reasons and the verdict, with markup in a reason taken literally."""
    on = console()
    print_outcome(on, Outcome(6, MIXED, (1.0, 2.0), ["Stock [TEA] is short."], [("Declined [red]", 1)]))
    text = printed(on)
    for part in (
        "without an end",
        "1.00 s",
        "2.00 s",
        "1: Declined [red]",
        "1 findings",
        "- Stock [TEA] is short.",
    ):
        assert part in text


def test_lines_where_there_is_no_terminal() -> None:
    """Plain text without control characters; the same standing is said once; the end is always said."""
    on = console()
    with Display(on, 6) as display:
        display.show(Standing())
        display.show(MIXED)
        display.show(MIXED)
        display.show(Standing(Counter(shipped=6), Counter(completed=6)))
    lines = printed(on).splitlines()
    assert len(lines) == 2
    assert "paid 1, shipped 3" in lines[0]
    assert "shipped 6" in lines[1]
    assert "\x1b" not in printed(on)


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each status has its row, redrawn in place; NO_COLOR takes the colours away."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    on = console(force_terminal=True)
    with Display(on, 6) as display:
        display.show(MIXED)
    text = printed(on)
    assert "5 of 6 ended, 4 retries" in text
    assert "needs attention" in text
    assert "\x1b[3" not in text
