"""What customers fill in: searching, choosing, checking out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import uuid4

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from orders.models import Order
from orders.services.placing import MOST_OF_ONE
from orders.services.records import Delivery
from orders.web.countries import COUNTRIES

CARDS = [
    ("tok_visa", _("Test card that pays")),
    ("tok_declined", _("Test card that is declined")),
    ("tok_insufficient_funds", _("Test card without funds")),
    ("tok_expired", _("Test card that has expired")),
]
DELIVERY_FIELDS = ("recipient", "address", "postcode", "city", "country")
LONGEST_SEARCH = 80


class SearchForm(forms.Form):
    """Looks for products. It lives in the address."""

    q = forms.CharField(
        label=_("Search the shop"),
        required=False,
        max_length=LONGEST_SEARCH,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "enterkeyhint": "search"}),
    )
    in_stock = forms.BooleanField(label=_("Only what is in stock"), required=False)


class QuantityForm(forms.Form):
    """How many of one product; at least ``least``."""

    quantity = forms.IntegerField(
        label=_("Quantity"),
        min_value=0,
        max_value=MOST_OF_ONE,
        error_messages={
            "required": _("Please enter a whole number."),
            "invalid": _("Please enter a whole number."),
            "min_value": _("Please enter 0 or more."),
            "max_value": _("Please order at most %(limit_value)s at once."),
        },
    )


def delivery_field(name: str, label: Any, autocomplete: str) -> forms.CharField:
    """A line of the address, as long as its column."""
    longest: int = Order._meta.get_field(name).max_length  # type: ignore[union-attr,assignment]  # a CharField's
    return forms.CharField(
        label=label,
        max_length=longest,
        error_messages={"required": _("Please fill this in.")},
        widget=forms.TextInput(attrs={"autocomplete": autocomplete}),
    )


class CheckoutForm(forms.Form):
    """Where the parcel goes, and with which test card. What was typed is kept when something is wrong.

    Args:
        data: what was sent.
        seen: fingerprint of the basket's contents that the page shows.
        delivery: fills in the address of an empty form.
    """

    token = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages={"required": _("This form is too old."), "invalid": _("This form is too old.")},
    )
    seen = forms.CharField(widget=forms.HiddenInput, max_length=64, required=False)
    recipient = delivery_field("recipient", _("Full name"), "name")
    address = delivery_field("address", _("Street and number"), "street-address")
    postcode = delivery_field("postcode", _("Postcode"), "postal-code")
    city = delivery_field("city", _("Town"), "address-level2")
    country = forms.ChoiceField(
        label=_("Country"),
        choices=COUNTRIES,
        initial="DE",
        widget=forms.Select(attrs={"autocomplete": "country"}),
    )
    card = forms.ChoiceField(
        label=_("Card"),
        choices=CARDS,
        initial="tok_visa",
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose a card.")},
    )

    def __init__(
        self, data: QueryDict | None = None, *, seen: str = "", delivery: Delivery | None = None
    ) -> None:
        initial = {"token": uuid4(), "seen": seen, **(asdict(delivery) if delivery else {})}
        super().__init__(data, initial=initial)

    @property
    def delivery_fields(self) -> list[forms.BoundField]:
        """The lines of the address."""
        return [self[name] for name in DELIVERY_FIELDS]

    @property
    def wrong_fields(self) -> list[forms.BoundField]:
        """The visible fields with something wrong, in the order of the page."""
        return [field for field in [*self.delivery_fields, self["card"]] if field.errors]

    @property
    def delivery(self) -> Delivery:
        """Where to; once the form is valid."""
        return Delivery(**{name: self.cleaned_data[name] for name in DELIVERY_FIELDS})

    @property
    def idempotency_key(self) -> str:
        """Every page with an empty form makes one order at most; once the form is valid."""
        return f"form:{self.cleaned_data['token']}"

    @property
    def payload(self) -> dict[str, Any]:
        """What it asks for, as JSON values; once the form is valid."""
        return {"delivery": asdict(self.delivery), **{k: self.cleaned_data[k] for k in ("card", "seen")}}

    def clean(self) -> dict[str, Any]:
        """A form without its token is shown again with a new one."""
        if "token" in self.errors:
            self.renew(_("This form is too old. Nothing was ordered: please send it again."))
        return self.cleaned_data

    def renew(self, message: Any, **values: str) -> None:
        """Show the form again as a new one, with what was typed."""
        self.data = dict(self.data.items()) | {"token": str(uuid4())} | values
        self.add_error(None, message)
