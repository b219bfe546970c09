"""What is in a basket, with today's prices and stock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from orders.models import Product
from orders.queries import available


class Trouble(StrEnum):
    """Why a line cannot be ordered as it is."""

    GONE = "gone"
    SOLD_OUT = "sold_out"
    TOO_FEW = "too_few"


@dataclass(frozen=True)
class BasketLine:
    """So many of one product, how many there are, and what they cost together."""

    product: Product
    quantity: int

    @property
    def available(self) -> int:
        """As of when it was read. The order's first step decides, and the stock may change until then."""
        return available(self.product)

    @property
    def sum(self) -> Decimal:
        """At today's price."""
        return self.product.price * self.quantity

    @property
    def trouble(self) -> Trouble | None:
        """What stands in the way of ordering it; ``None`` when nothing does."""
        if not self.product.is_active:
            return Trouble.GONE
        if not self.available:
            return Trouble.SOLD_OUT
        return Trouble.TOO_FEW if self.available < self.quantity else None


@dataclass(frozen=True)
class Contents:
    """All of a basket."""

    lines: Sequence[BasketLine]

    @property
    def total(self) -> Decimal:
        """Of all lines. It means nothing where they are in several currencies, which is for the order to refuse."""
        return sum((line.sum for line in self.lines), Decimal(0))

    @property
    def currency(self) -> str:
        """The first line's; empty without lines."""
        return self.lines[0].product.currency if self.lines else ""

    @property
    def in_trouble(self) -> list[BasketLine]:
        """The lines that cannot be ordered as they are."""
        return [line for line in self.lines if line.trouble]

    @property
    def quantities(self) -> dict[str, int]:
        """How many of each, by SKU."""
        return {line.product.sku: line.quantity for line in self.lines}

    @property
    def fingerprint(self) -> str:
        """Stands for products, quantities and prices: it changes when one of them does."""
        told = sorted(f"{line.product.sku} {line.quantity} {line.product.price}" for line in self.lines)
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def contents_of(quantities: Mapping[UUID, int]) -> Contents:
    """Look the products up, in one query. Of products that were deleted nothing is left."""
    products = Product.objects.select_related("stock").in_bulk(list(quantities))
    return Contents([BasketLine(products[pk], count) for pk, count in quantities.items() if pk in products])
