"""The orders of a run: which are placed, how each should end, and how they stand."""

from __future__ import annotations

import random
from collections import Counter
from uuid import UUID

from orders.models import Order
from outbox.models import Message, Status
from tests.harness.shop import BAD_CARD, BERLIN, GOOD_CARD, NOWHERE, customer, product

SKUS = ("TEA", "CUP", "POT")


class Shop:
    """Places orders through the application's service.

    Args:
        dice: decides over each order.
        unlucky: share of the orders that cannot be fulfilled: the card is declined, or the address is unknown.
    """

    def __init__(self, dice: random.Random, unlucky: float) -> None:
        self.dice = dice
        self.unlucky = unlucky
        self.should: dict[UUID, str] = {}
        self.customer = customer()
        for sku in SKUS:
            product(sku, on_hand=100_000)

    def place(self, number: int) -> None:
        """Place an order, and remember how it should end."""
        from orders.services.placing import place_order

        luck = "good"
        if self.dice.random() < self.unlucky:
            luck = ("card", "address")[number % 2]
        where = NOWHERE if luck == "address" else BERLIN
        card = BAD_CARD if luck == "card" else GOOD_CARD
        placed = place_order(self.customer, {self.dice.choice(SKUS): 1}, where, card)
        self.should[placed.id] = Order.Status.SHIPPED if luck == "good" else Order.Status.CANCELLED

    def states(self) -> Counter[str]:
        """How many orders are in which status. An order whose placing had no answer counts, too."""
        return Counter(Order.objects.values_list("status", flat=True))

    def has_ended(self) -> bool:
        """Whether no order is under way."""
        states = self.states()
        return not any(states[status] for status in (*Order.CANCELLABLE, Order.Status.CANCELLING))

    def is_idle(self) -> bool:
        """Whether no order is under way, and nothing is to be sent or consumed any more."""
        open_ = Message.objects.filter(consumed_at=None, discarded_at=None).exclude(status=Status.FAILED)
        return self.has_ended() and not open_.exists()
