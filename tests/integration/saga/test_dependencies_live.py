"""Payment is away while a real shop goes on: real workers, a real service that is down for some seconds."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Sum

from orders.models import Stock
from orders.progress import progress_of
from outbox.audit import findings
from outbox.saga.dependencies.overview import BreakerView, breakers
from outbox.saga.models import SagaStep, SagaTransition
from tests.harness.processes import Platform
from tests.harness.shop import order, product, wait_for_the_end
from tests.harness.waiting import wait_until

ORDERS = 40
FAILURES = 5
"""Open the breaker; so many attempts may be spent by then, and one more by each worker at work."""
PROCESSES = 4


def payment() -> BreakerView:
    """How the service stands."""
    return next(view for view in breakers() if view.name == "payment")


def test_payment_away_burns_no_attempts_and_comes_back_gently(platform: Platform, settings) -> None:
    """Orders are taken and stock is reserved; two workers share the breaker; then all ship, a few at first."""
    with platform.sandbox() as sandbox:
        settings.SANDBOX_URL, settings.SANDBOX_TOKEN = (
            platform.env["SANDBOX_URL"],
            platform.env["SANDBOX_TOKEN"],
        )
        sandbox.set_faults("payment", down=True)
        platform.whole()
        platform.worker("payment")
        product()
        orders = [order() for _ in range(ORDERS)]
        wait_until(lambda: Stock.objects.get().reserved == ORDERS, "all stock to be reserved")
        wait_until(
            lambda: payment().state != "closed" and payment().waiting >= ORDERS - FAILURES, "all to wait"
        )
        paying = SagaStep.objects.filter(name="payment")
        wait_until(lambda: paying.aggregate(n=Sum("attempt"))["n"] >= FAILURES + 2, "two probes")
        spent = paying.aggregate(n=Sum("tries"))["n"]
        assert FAILURES <= spent <= FAILURES + PROCESSES
        assert SagaTransition.objects.filter(what="waits", detail__contains="breaker open until").exists()

        wait_until(lambda: progress_of(orders[-1]).is_delayed, "the customer to be told, tried or not")

        sandbox.reset_faults()
        assert wait_for_the_end(orders, timeout=90) == {"shipped": ORDERS}
        assert paying.aggregate(n=Sum("tries"))["n"] <= spent + ORDERS
        times = sorted(charge.created_at for charge in sandbox.iter_charges())
        within = [sum(t <= at < t + timedelta(seconds=1) for at in times) for t in times[:1]]
        assert len(times) == ORDERS
        assert within[0] <= 20  # the probe, and what the ramp's first second lets through
        assert payment().state == "closed"
        assert findings() == []
