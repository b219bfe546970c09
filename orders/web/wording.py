"""What happens to an order, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from orders.models import Order
from orders.progress import Progress, StepProgress, StepState, reason_of
from orders.reasons import in_words

Text = str | Promise
Status = Order.Status

POLL_SECONDS = 2
POLL_SECONDS_WHILE_A_PERSON_WORKS = 15


@dataclass(frozen=True)
class Told:
    """A status or a state: in words, and the tone in which it is shown (good, bad, busy, late, quiet)."""

    text: Text
    tone: str


@dataclass(frozen=True)
class StepTold:
    """One step on the page."""

    title: Text
    text: Text
    tone: str
    step: StepProgress


@dataclass(frozen=True)
class Story:
    """The order's page in words.

    Args:
        headline: what has become of the order.
        detail: what happens next, or why.
        reason: why it is cancelled; empty for all others.
        tone: how it is shown.
        steps: each step of the fulfilment.
        poll_seconds: after how many seconds to look again; 0 when nothing more will happen.
    """

    headline: Text
    detail: Text
    reason: str
    tone: str
    steps: list[StepTold]
    poll_seconds: int


STATUS = {
    Status.PLACED: Told(gettext_lazy("Placed"), "busy"),
    Status.RESERVED: Told(gettext_lazy("In stock, payment under way"), "busy"),
    Status.PAID: Told(gettext_lazy("Paid, being shipped"), "busy"),
    Status.SHIPPED: Told(gettext_lazy("Shipped"), "good"),
    Status.CANCELLING: Told(gettext_lazy("Being cancelled"), "late"),
    Status.CANCELLED: Told(pgettext_lazy("order", "Cancelled"), "bad"),
    Status.NEEDS_ATTENTION: Told(gettext_lazy("We are looking into it"), "late"),
}


@dataclass(frozen=True)
class Group:
    """Orders that are listed together."""

    name: Text
    statuses: tuple[str, ...]


GROUPS = {
    "open": Group(
        gettext_lazy("Under way"),
        (Status.PLACED, Status.RESERVED, Status.PAID, Status.CANCELLING, Status.NEEDS_ATTENTION),
    ),
    "shipped": Group(gettext_lazy("Shipped"), (Status.SHIPPED,)),
    "cancelled": Group(pgettext_lazy("order", "Cancelled"), (Status.CANCELLED,)),
}

HEADLINES: dict[str, tuple[Text, Text]] = {
    Status.PLACED: (
        gettext_lazy("Thank you, we have your order."),
        gettext_lazy("We are putting your items aside."),
    ),
    Status.RESERVED: (
        gettext_lazy("Your items are put aside."),
        gettext_lazy("The payment is under way."),
    ),
    Status.PAID: (
        gettext_lazy("Your payment went through."),
        gettext_lazy("We are handing your parcel to the carrier."),
    ),
    Status.SHIPPED: (gettext_lazy("Your parcel is on its way."), ""),
    Status.CANCELLING: (
        gettext_lazy("Your order is being cancelled."),
        gettext_lazy("What was done for it is being undone; no money will be kept."),
    ),
    Status.CANCELLED: (
        gettext_lazy("Your order was cancelled."),
        gettext_lazy("Nothing will be delivered, and no money was kept."),
    ),
    Status.NEEDS_ATTENTION: (
        gettext_lazy("We are looking into your order."),
        gettext_lazy(
            "Something went wrong on our side, and one of us takes care of it. You need to do nothing."
        ),
    ),
}

TITLES = {
    "inventory": gettext_lazy("Stock"),
    "payment": gettext_lazy("Payment"),
    "shipping": gettext_lazy("Shipping"),
}

TONES = {
    StepState.WAITING: "quiet",
    StepState.WORKING: "busy",
    StepState.RETRYING: "late",
    StepState.DONE: "good",
    StepState.FAILED: "bad",
    StepState.UNCLEAR: "late",
    StepState.NOT_NEEDED: "quiet",
    StepState.UNDOING: "busy",
    StepState.RETRYING_UNDO: "late",
    StepState.UNDONE: "undone",
    StepState.STUCK: "late",
}

GENERAL: dict[StepState, Text] = {
    StepState.WAITING: gettext_lazy("Comes next."),
    StepState.NOT_NEEDED: gettext_lazy("Not needed any more."),
    StepState.UNCLEAR: gettext_lazy("There was no clear answer."),
    StepState.STUCK: gettext_lazy("This could not be undone yet. One of us takes care of it."),
    StepState.RETRYING_UNDO: gettext_lazy("Undoing this is taking longer than usual. We go on trying."),
}

OF_STEP: dict[tuple[str, StepState], Text] = {
    ("inventory", StepState.WORKING): gettext_lazy("We are putting your items aside."),
    ("inventory", StepState.RETRYING): gettext_lazy("This is taking longer than usual. We go on trying."),
    ("inventory", StepState.DONE): gettext_lazy("Your items are put aside."),
    ("inventory", StepState.FAILED): gettext_lazy("Your items could not be put aside."),
    ("inventory", StepState.UNDOING): gettext_lazy("Your items are going back on the shelf."),
    ("inventory", StepState.UNDONE): gettext_lazy("Your items are back on the shelf."),
    ("payment", StepState.WORKING): gettext_lazy("The payment is under way."),
    ("payment", StepState.RETRYING): gettext_lazy("Payment is taking longer than usual. We go on trying."),
    ("payment", StepState.DONE): gettext_lazy("Paid."),
    ("payment", StepState.FAILED): gettext_lazy("The payment did not go through."),
    ("payment", StepState.UNDOING): gettext_lazy("Whatever was paid is being refunded."),
    ("payment", StepState.UNDONE): gettext_lazy("No money was kept: whatever was paid is refunded."),
    ("shipping", StepState.WORKING): gettext_lazy("We are handing your parcel to the carrier."),
    ("shipping", StepState.RETRYING): gettext_lazy(
        "The carrier is taking longer than usual. We go on trying."
    ),
    ("shipping", StepState.DONE): gettext_lazy("The carrier has your parcel."),
    ("shipping", StepState.FAILED): gettext_lazy("The carrier did not take the parcel."),
    ("shipping", StepState.UNDOING): gettext_lazy("The parcel is being called back."),
    ("shipping", StepState.UNDONE): gettext_lazy("No parcel will be delivered."),
}


def tell(order: Order) -> Told:
    """The order's status in a few words."""
    return STATUS[Status(order.status)]


def story_of(order: Order, progress: Progress) -> Story:
    """The order's page in words."""
    headline, detail = HEADLINES[order.status]
    tone = STATUS[Status(order.status)].tone
    if progress.cancel_requested and order.status in Order.CANCELLABLE:
        headline, detail, tone = _cancel_requested()
    elif progress.is_delayed:
        tone = "late"
        detail = _("This is taking longer than usual. We go on trying; you need to do nothing.")
    return Story(
        headline=headline,
        detail=detail,
        reason=in_words(order, reason_of(order)),
        tone=tone,
        steps=[_tell_step(step) for step in progress.steps],
        poll_seconds=_poll_seconds(order),
    )


def _cancel_requested() -> tuple[Text, Text, str]:
    return (
        _("You asked us to cancel this order."),
        _("The step at work right now ends first. Unless the parcel has left by then, all is undone."),
        "late",
    )


def _tell_step(step: StepProgress) -> StepTold:
    text = OF_STEP.get((step.name, step.state)) or GENERAL[step.state]
    return StepTold(TITLES[step.name], text, TONES[step.state], step)


def _poll_seconds(order: Order) -> int:
    if order.status in Order.ENDED:
        return 0
    return POLL_SECONDS_WHILE_A_PERSON_WORKS if order.status == Status.NEEDS_ATTENTION else POLL_SECONDS
