"""Products, and their stock as it was counted."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline

from orders.models import Product, Stock
from orders.services.stocktaking import CannotCorrect, check_count, set_count
from outbox.admin.base import ConsoleAdmin
from outbox.admin.rendering import NOTHING


class StockForm(forms.ModelForm):  # type: ignore[type-arg, unused-ignore]  # generic in its stubs only
    """The count of what is on the shelf. It remembers the one that it showed, and overwrites no other."""

    class Meta:
        model = Stock
        fields = ("on_hand",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["on_hand"].show_hidden_initial = True

    def has_changed(self) -> bool:
        """A new product gets its stock also when that is none."""
        return self.instance._state.adding or super().has_changed()

    def clean(self) -> dict[str, Any]:
        """The count, if it can be true; the stock is held until it is saved."""
        cleaned = super().clean() or self.cleaned_data
        if "on_hand" in cleaned and "on_hand" in self.changed_data and not self.instance._state.adding:
            try:
                check_count(self.instance.pk, counted=cleaned["on_hand"], seen=self._seen())
            except CannotCorrect as error:
                self.add_error("on_hand", str(error))
                self._show(error.on_hand)
        return cleaned

    def save(self, commit: bool = True) -> Stock:
        """Write the count only: saving the row would put back what it said of reservations."""
        if commit:
            set_count(self.instance.pk, self.cleaned_data["on_hand"])
        stock: Stock = self.instance
        return stock

    def _seen(self) -> int | None:
        """The count that the form had shown."""
        given = str(self.data.get(self.add_initial_prefix("on_hand"), ""))
        return int(given) if given.isdecimal() else None

    def _show(self, on_hand: int) -> None:
        """Remember the count as it is now, so that saving again means it."""
        data = cast(QueryDict, self.data).copy()
        data[self.add_initial_prefix("on_hand")] = str(on_hand)
        self.data = data


class StockInline(TabularInline):  # type: ignore[misc, unused-ignore]  # Unfold ships no types
    """The stock of a product."""

    model = Stock
    form = StockForm
    fields = ("on_hand", "reserved", "available")
    readonly_fields = ("reserved", "available")
    can_delete = False
    hide_title = True
    min_num = max_num = 1

    @admin.display(description=gettext_lazy("available"))
    def available(self, stock: Stock) -> int | str:
        """What can still be ordered."""
        return NOTHING if stock._state.adding else stock.available


@admin.register(Product)
class ProductAdmin(ConsoleAdmin):
    """The catalogue. A product that is no longer for sale is made inactive; orders go on to name it."""

    list_display = ("name", "sku", "amount", "is_active", "on_hand", "reserved", "available")
    list_filter = ("is_active",)
    list_select_related = ("stock",)
    search_fields = ("name", "sku")
    search_help_text = gettext_lazy("Name or SKU")
    fields = (
        *("name", "name_ja", "sku", "description", "description_ja"),
        *("price", "currency", "is_active"),
    )
    inlines = (StockInline,)
    warn_unsaved_form = True

    @admin.display(description=gettext_lazy("price"), ordering="price")
    def amount(self, product: Product) -> str:
        """What one costs."""
        return f"{product.price} {product.currency}"

    @admin.display(description=gettext_lazy("on hand"), ordering="stock__on_hand")
    def on_hand(self, product: Product) -> int | str:
        """How many there are."""
        return product.stock.on_hand if hasattr(product, "stock") else NOTHING

    @admin.display(description=gettext_lazy("reserved"), ordering="stock__reserved")
    def reserved(self, product: Product) -> int | str:
        """How many are promised to orders."""
        return product.stock.reserved if hasattr(product, "stock") else NOTHING

    @admin.display(description=gettext_lazy("available"))
    def available(self, product: Product) -> int | str:
        """How many can still be ordered."""
        return product.stock.available if hasattr(product, "stock") else _("no stock")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody: make it inactive."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        """Products with their stock."""
        rows: QuerySet[Product] = super().get_queryset(request)
        return rows.select_related("stock")
