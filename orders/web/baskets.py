"""The basket of whoever asks: in the session before they sign in, in the database from then on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.dispatch import receiver
from django.http import HttpRequest

from orders.models import Product
from orders.services.basket import CustomerBasket
from orders.services.placing import MOST_OF_ONE

KEY = "basket"


class SessionBasket:
    """The basket of somebody who is not signed in.

    Not guaranteed: that both of two changes at the same moment count. Sessions are saved as a whole.
    """

    def __init__(self, session: SessionBase) -> None:
        self.session = session

    def quantities(self) -> dict[UUID, int]:
        """How many of each product, in the order in which they were chosen."""
        return {UUID(key): count for key, count in self.session.get(KEY, {}).items()}

    def add(self, product: Product, quantity: int) -> None:
        """So many more, up to ``MOST_OF_ONE``."""
        held = self.quantities()
        self._save(held | {product.id: min(held.get(product.id, 0) + quantity, MOST_OF_ONE)})

    def put(self, product_id: UUID, quantity: int) -> None:
        """So many of a product that is in it; with 0 it is taken out."""
        held = self.quantities()
        if product_id in held:
            self._save(held | {product_id: min(quantity, MOST_OF_ONE)})

    def _save(self, quantities: dict[UUID, int]) -> None:
        self.session[KEY] = {str(pk): count for pk, count in quantities.items() if count}


def basket_of(request: HttpRequest) -> SessionBasket | CustomerBasket:
    """The basket of whoever asks."""
    if isinstance(request.user, User):
        return CustomerBasket(request.user)
    return SessionBasket(request.session)


def basket_count(request: HttpRequest) -> dict[str, Any]:
    """For templates: ``basket_count``, the number of things in the basket, read only where it is shown."""
    return {"basket_count": lambda: sum(basket_of(request).quantities().values())}


@receiver(user_logged_in)
def keep_at_sign_in(request: HttpRequest | None, user: User, **_: Any) -> None:
    """What was chosen before signing in is the customer's from now on."""
    session = getattr(request, "session", None)
    if session is not None and session.get(KEY):
        CustomerBasket(user).merge(SessionBasket(session).quantities())
        del session[KEY]
