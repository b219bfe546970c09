"""The judges: ``manage.py audit``, the sandbox's own ledger, the histories, and whether the run proved anything."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from orders.models import DailySales, Order
from outbox.models import Message, Status
from outbox.saga.models import Saga, SagaTransition
from outbox.saga.refusals import refusals
from tests.chaos.fault import Fault
from tests.chaos.report import Report
from tests.chaos.shop import Shop
from tests.chaos.stack import Stack
from tests.harness.processes import ROOT

SHOWN = 20
AFTER_THE_END = ("outcome refused",)
"""What may still be noted of a saga that has ended: that something came too late."""


def judge(
    fault: Fault, stack: Stack, shop: Shop, *, seed: int, hits: Sequence[datetime], ended: bool
) -> Report:
    """Look at everything."""
    states = shop.states()
    refused = sum(refusals())
    missing = set(shop.should) - set(Order.objects.filter(id__in=shop.should).values_list("id", flat=True))
    going = sum(states[status] for status in (*Order.CANCELLABLE, Order.Status.CANCELLING))
    wrong = [*audit(stack), *_own_findings(fault, stack, shop)]
    if not ended:
        wrong += ["Not everything came to an end in time.", *_left_over()]
    recovery = _recovery(hits)
    vacuous = [*_vacuous(fault, states, len(hits), refused), *fault.doubts()]
    if not recovery:
        vacuous.append("No order was under way when the fault had hit.")
    return Report(
        fault=fault.name,
        seed=seed,
        orders=sum(states.values()) + len(missing),
        completed=states[Order.Status.SHIPPED],
        compensated=states[Order.Status.CANCELLED],
        parked=states[Order.Status.NEEDS_ATTENTION],
        lost=len(missing) + going,
        faults_injected=len(hits),
        duplicates_refused=refused,
        recovery_p50_s=round(statistics.median(recovery), 2) if recovery else 0.0,
        recovery_max_s=round(max(recovery, default=0.0), 2),
        audit=wrong[:SHOWN] or "clean",
        ok=not (wrong or missing or going or vacuous),
        vacuous=vacuous,
    )


def audit(stack: Stack) -> list[str]:
    """What ``manage.py audit`` finds, as an operator would run it."""
    done = subprocess.run(
        [sys.executable, "manage.py", "audit", "--json"],
        env={**os.environ, **stack.env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["audit"]
    except (ValueError, KeyError):
        return [f"The audit failed: {done.stderr[-1000:]}"]
    return [] if found == "clean" else list(found)


def _own_findings(fault: Fault, stack: Stack, shop: Shop) -> Iterator[str]:
    yield from _effects(stack)
    yield from _endings(fault, shop)
    yield from _histories()
    for message in Message.objects.filter(status=Status.FAILED)[:SHOWN]:
        yield f"Message {message.id} ({message.type}) failed: {message.last_error}"
    sold = sum(DailySales.objects.values_list("orders", flat=True))
    shipped = Order.objects.filter(status=Order.Status.SHIPPED).count()
    if sold != shipped:
        yield f"{shipped} orders are shipped, and the subscriber that counts them has counted {sold}."


def _left_over() -> Iterator[str]:
    """What was not consumed, and what it waits for."""
    for message in Message.objects.filter(consumed_at=None, discarded_at=None)[:SHOWN]:
        yield (
            f"Message {message.id} ({message.type} for {message.consumer}) is {message.status} after"
            f" {message.attempts} attempts, due {message.next_attempt_at}, leased until {message.locked_until}:"
            f" {message.last_error}"
        )


def _effects(stack: Stack) -> Iterator[str]:
    """At most one live effect for each idempotency key, in both ledgers."""
    charges = Counter(c.key for c in stack.outside.iter_charges() if c.state == "succeeded")
    shipments = Counter(s.key for s in stack.outside.iter_shipments() if s.state == "created")
    for key, count in (charges + shipments).items():
        if count > 1:
            yield f"{key} has {count} live effects outside."


def _endings(fault: Fault, shop: Shop) -> Iterator[str]:
    """Each order ended as it should."""
    for id_, status in Order.objects.filter(id__in=shop.should).values_list("id", "status"):
        should = shop.should[id_]
        if status == should or (fault.parks and status == Order.Status.NEEDS_ATTENTION):
            continue
        if not (fault.declines and should == Order.Status.SHIPPED and status == Order.Status.CANCELLED):
            attention = Saga.objects.filter(key=str(id_)).values_list("attention", flat=True).first()
            yield f"Order {id_} should be {should}, and is {status}. {attention or ''}".strip()


def _histories() -> Iterator[str]:
    """Terminal is terminal."""
    over: set[object] = set()
    for saga, what in SagaTransition.objects.order_by("saga_id", "number").values_list("saga_id", "what"):
        if saga in over and what not in AFTER_THE_END:
            yield f"Saga {saga} had ended, and then: {what}."
        if what in (Saga.Status.COMPLETED, Saga.Status.COMPENSATED):
            over.add(saga)


def _vacuous(fault: Fault, states: Counter[str], hits: int, refused: int) -> Iterator[str]:
    if not hits:
        yield "The fault never hit."
    if not states[Order.Status.SHIPPED]:
        yield "No order was completed."
    if not states[Order.Status.CANCELLED]:
        yield "No order was compensated."
    if fault.refuses and not refused:
        yield "Nothing was refused."


def _recovery(hits: Sequence[datetime]) -> list[float]:
    spans = list(Saga.objects.exclude(ended_at=None).values_list("started_at", "ended_at"))
    found = []
    for at in hits:
        under_way = [(end - at).total_seconds() for begin, end in spans if begin < at < end]
        if under_way:
            found.append(max(under_way))
    return found
