"""What the API takes and gives."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema
from pydantic import AfterValidator, ConfigDict, StringConstraints

from orders.models import Order
from orders.progress import StepState
from orders.services.placing import MOST_OF_ONE

MOST_LINES = 100


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("Control characters cannot be used here.")
    return text


def _capitals(text: str) -> str:
    return text.upper()


Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(_printable)]
Country = Annotated[str, StringConstraints(pattern="^[A-Za-z]{2}$"), AfterValidator(_capitals)]
CardToken = Annotated[str, StringConstraints(pattern="^tok_[A-Za-z0-9_]{1,60}$")]


class Strict(Schema):
    """A body in which an unknown member is an error, because it is most often a typing error."""

    model_config = ConfigDict(extra="forbid")


class LineIn(Strict):
    """So many of one product."""

    sku: Text = Field(examples=["SENCHA-100"])
    quantity: int = Field(ge=1, le=MOST_OF_ONE, strict=True)


class DeliveryIn(Strict):
    """Where the parcel goes."""

    recipient: Text
    address: Text
    postcode: Text
    city: Text
    country: Country = Field(description="Two letters, as in ISO 3166.", examples=["DE"])


class OrderIn(Strict):
    """An order to be placed."""

    lines: Annotated[list[LineIn], Field(min_length=1, max_length=MOST_LINES)]
    delivery: DeliveryIn
    card: CardToken = Field(
        description="The payment provider's token for the card, never a card number.", examples=["tok_visa"]
    )


class ProductOut(Schema):
    """A product, and how many can be ordered right now."""

    sku: str
    name: str
    description: str
    price: Decimal
    currency: str
    available: int


class OrderSummary(Schema):
    """An order at a glance."""

    id: UUID
    number: str
    status: Order.Status
    status_url: str = Field(description="Ask there how far it is.")
    total: Decimal
    currency: str
    placed_at: datetime
    ended_at: datetime | None


class LineOut(Schema):
    """A line of an order, at the price of when it was placed."""

    sku: str
    name: str
    quantity: int
    unit_price: Decimal


class StepOut(Schema):
    """A step of the fulfilment."""

    step: str
    state: StepState
    attempts: int = Field(description="Of the step, or of its undo once that began.")
    started_at: datetime | None
    ended_at: datetime | None
    next_attempt_at: datetime | None = Field(description="While it waits to be tried again.")


class OrderDetail(OrderSummary):
    """An order, and how far it is."""

    reason: str | None = Field(description="Why it is cancelled.")
    tracking_number: str | None
    cancellable: bool
    cancel_requested: bool
    lines: list[LineOut]
    delivery: DeliveryIn
    progress: list[StepOut]


class OrderListOut(Schema):
    """A page of orders, newest first."""

    orders: list[OrderSummary]
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null on the last one."
    )


class WrongPart(Schema):
    """What is wrong with one part of a request."""

    detail: str
    pointer: str | None = Field(None, description="JSON pointer into the body.")
    parameter: str | None = Field(None, description="Name of a query parameter or header.")


class Problem(Schema):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    code: str = Field(description="For programs to tell errors apart.")
    detail: str
    errors: list[WrongPart] | None = None


Json = dict[str, Any]
