"""The order form: how many of each product, where to, and with which test card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from orders.exceptions import InvalidOrder
from orders.models import Order, Product
from orders.queries import available
from orders.services.placing import MOST_OF_ONE, Delivery
from orders.web.countries import COUNTRIES

CARDS = [
    ("tok_visa", _("Test card that pays")),
    ("tok_declined", _("Test card that is declined")),
    ("tok_insufficient_funds", _("Test card without funds")),
    ("tok_expired", _("Test card that has expired")),
]
DELIVERY_FIELDS = ("recipient", "address", "postcode", "city", "country")


@dataclass(frozen=True)
class Offer:
    """A product, how many can be had, and the form's field for it."""

    product: Product
    available: int
    field: forms.BoundField


def delivery_field(name: str, label: Any, autocomplete: str) -> forms.CharField:
    """A line of the address, as long as its column."""
    longest: int = Order._meta.get_field(name).max_length  # type: ignore[union-attr,assignment]  # a CharField's
    return forms.CharField(
        label=label,
        max_length=longest,
        error_messages={"required": _("Please fill this in.")},
        widget=forms.TextInput(attrs={"autocomplete": autocomplete}),
    )


class OrderForm(forms.Form):
    """One page, one form. What was typed is kept when something is wrong with it.

    Args:
        products: what is for sale.
        data: what was sent.
        delivery: fills in the address of an empty form.
    """

    token = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages={"required": _("This form is too old."), "invalid": _("This form is too old.")},
    )
    recipient = delivery_field("recipient", _("Name"), "name")
    address = delivery_field("address", _("Street and number"), "address-line1")
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
        self, products: Sequence[Product], data: QueryDict | None = None, *, delivery: Delivery | None = None
    ) -> None:
        super().__init__(data, initial={"token": uuid4(), **(asdict(delivery) if delivery else {})})
        self.products = products
        for product in products:
            self.fields[_name(product)] = _quantity_field(product)

    @property
    def offers(self) -> Iterator[Offer]:
        """The products with their fields."""
        for product in self.products:
            yield Offer(product, available(product), self[_name(product)])

    @property
    def delivery_fields(self) -> list[forms.BoundField]:
        """The lines of the address."""
        return [self[name] for name in DELIVERY_FIELDS]

    @property
    def wrong_fields(self) -> list[forms.BoundField]:
        """The visible fields with something wrong, in the order of the page."""
        fields = [offer.field for offer in self.offers] + [*self.delivery_fields, self["card"]]
        return [field for field in fields if field.errors]

    @property
    def quantities(self) -> dict[str, int]:
        """How many of each product, by SKU; once the form is valid."""
        chosen = {product.sku: self.cleaned_data.get(_name(product)) or 0 for product in self.products}
        return {sku: count for sku, count in chosen.items() if count}

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
        """What it orders, as JSON values; once the form is valid."""
        return {
            "lines": self.quantities,
            "delivery": asdict(self.delivery),
            "card": self.cleaned_data["card"],
        }

    def clean(self) -> dict[str, Any]:
        """Something must have been chosen."""
        typed_wrong = any(offer.field.errors for offer in self.offers)
        if not self.quantities and not typed_wrong:
            self.add_error(None, _("Please choose at least one product."))
        if "token" in self.errors:
            self.renew(_("This form is too old. Nothing was ordered: please send it again."))
        return self.cleaned_data

    def refuse(self, error: InvalidOrder) -> None:
        """Show what the service found wrong, next to the fields."""
        for name, message in error.errors.items():
            self.add_error(name if name in self.fields else None, message)

    def renew(self, message: Any) -> None:
        """Show the form again as a new one, with what was typed."""
        self.data = dict(self.data.items()) | {"token": str(uuid4())}
        self.add_error(None, message)


def _name(product: Product) -> str:
    return f"quantity-{product.pk}"


def _quantity_field(product: Product) -> forms.IntegerField:
    field = forms.IntegerField(
        label=_("Quantity of %(product)s") % {"product": product.name},
        required=False,
        min_value=0,
        max_value=MOST_OF_ONE,
        error_messages={
            "invalid": _("Please enter a whole number."),
            "min_value": _("Please enter 0 or more."),
            "max_value": _("Please order at most %(limit_value)s at once."),
        },
        widget=forms.NumberInput(
            attrs={"inputmode": "numeric", "placeholder": "0", "data-price": product.price}
        ),
    )
    field.validators.append(_EnoughLeft(available(product)))
    return field


class _EnoughLeft:
    """A courtesy: the order's first step decides, and the stock may change until then."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, wanted: int) -> None:
        if not self.left and wanted:
            raise forms.ValidationError(_("This is sold out."))
        if self.left < wanted <= MOST_OF_ONE:
            message = ngettext("There is only %(left)s left.", "There are only %(left)s left.", self.left)
            raise forms.ValidationError(message % {"left": self.left})
