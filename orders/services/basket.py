"""A customer's basket in the database: what several tabs and devices do to it at once adds up."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection, transaction

from orders.models import BasketItem, Product
from orders.services.placing import MOST_OF_ONE


class CustomerBasket:
    """The basket of somebody who is signed in. Products that are not for sale are not taken into it."""

    def __init__(self, customer: User) -> None:
        self.customer = customer

    def quantities(self) -> dict[UUID, int]:
        """How many of each product, in the order in which they were chosen."""
        items = BasketItem.objects.filter(customer=self.customer)
        return dict(items.values_list("product_id", "quantity"))

    def add(self, product: Product, quantity: int) -> None:
        """So many more, up to ``MOST_OF_ONE``."""
        self._upsert("LEAST(held.quantity + EXCLUDED.quantity, %s)", product.id, quantity)

    def put(self, product_id: UUID, quantity: int) -> None:
        """So many of a product that is in it; with 0 it is taken out."""
        item = BasketItem.objects.filter(customer=self.customer, product_id=product_id)
        if quantity:
            item.update(quantity=min(quantity, MOST_OF_ONE))
        else:
            item.delete()

    @transaction.atomic
    def merge(self, quantities: Mapping[UUID, int]) -> None:
        """Take another basket in. Where both have a product, the larger quantity holds: twice does no harm."""
        known = set(Product.objects.filter(pk__in=quantities).values_list("pk", flat=True))
        for product_id in sorted(known):
            self._upsert(
                "LEAST(GREATEST(held.quantity, EXCLUDED.quantity), %s)", product_id, quantities[product_id]
            )

    def _upsert(self, quantity_if_held: str, product_id: UUID, quantity: int) -> None:
        """One statement, so that two of them at once both count."""
        table = BasketItem._meta.db_table
        statement = (
            f"INSERT INTO {table} AS held (customer_id, product_id, quantity) VALUES (%s, %s, %s) "  # noqa: S608
            f"ON CONFLICT (customer_id, product_id) DO UPDATE SET quantity = {quantity_if_held}"
        )
        values = (self.customer.pk, product_id, min(quantity, MOST_OF_ONE), MOST_OF_ONE)
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
