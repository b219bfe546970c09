"""``manage.py seed``: a catalogue with stock, an operator and a customer to try the shop with."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import F

from orders.management.demo_catalogue import CATALOGUE, CURRENCY
from orders.models import Product, Stock
from orders.services import api_keys
from outbox.management.command import DatabaseCommand

OPERATORS = "Operators"
RANDOM_BYTES = 12
MOST = 1_000_000_000


class Command(DatabaseCommand):
    """Running it again changes only what the environment or ``--stock`` says differently.

    Products and stock that are there are left alone. A generated password is printed once, when its account
    is made.
    """

    help = (
        "Adds the demonstration catalogue with its stock, and the accounts `operator` and `customer`. Their "
        "passwords come from TODOKE_OPERATOR_PASSWORD and TODOKE_CUSTOMER_PASSWORD, or are generated and "
        "printed once. TODOKE_API_KEY, when set, becomes an API key of the customer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--stock."""
        parser.add_argument(
            "--stock",
            type=_count,
            metavar="N",
            help="make at least N of every product available to new orders",
        )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """All of it in one transaction.

        Raises:
            CommandError: a password or an API key from the environment cannot be used; nothing was changed.
        """
        self._seed_catalogue()
        if options["stock"] is not None:
            self._top_up(options["stock"])
        operator = self._account("operator", is_staff=True, is_superuser=settings.DEBUG)
        if group := Group.objects.filter(name=OPERATORS).first():
            operator.groups.add(group)
        customer = self._account("customer", is_staff=False, is_superuser=False)
        self._give_api_key(customer, os.environ.get("TODOKE_API_KEY", ""))

    def _seed_catalogue(self) -> None:
        new = 0
        for item in CATALOGUE:
            texts = {
                name: getattr(item, name) for name in ("name", "description", "name_ja", "description_ja")
            }
            product, is_new = Product.objects.get_or_create(
                sku=item.sku, defaults={**texts, "price": item.price, "currency": CURRENCY}
            )
            Stock.objects.get_or_create(product=product, defaults={"on_hand": item.on_hand})
            new += is_new
        self.stdout.write(f"Catalogue: {len(CATALOGUE)} products, {new} of them new.")

    def _top_up(self, wanted: int) -> None:
        """One conditional UPDATE, so that orders may go on being placed meanwhile."""
        short = Stock.objects.filter(on_hand__lt=F("reserved") + wanted)
        topped_up = short.update(on_hand=F("reserved") + wanted)
        self.stdout.write(f"Stock: {topped_up} products topped up to {wanted}.")

    def _account(self, name: str, **flags: bool) -> User:
        given = os.environ.get(f"TODOKE_{name.upper()}_PASSWORD", "")
        user, is_new = get_user_model().objects.get_or_create(
            username=name, defaults={"email": f"{name}@example.org"}
        )
        for flag, value in flags.items():
            setattr(user, flag, value)
        if given:
            _check_password(f"TODOKE_{name.upper()}_PASSWORD", given, user)
        password = given or (secrets.token_urlsafe(RANDOM_BYTES) if is_new else "")
        if password and not user.check_password(password):
            user.set_password(password)
        user.save()
        self._tell_account(name, password="" if given else password, is_new=is_new)
        return user

    def _tell_account(self, name: str, *, password: str, is_new: bool) -> None:
        if password:
            self.stdout.write(f"Account {name}: new, with the password {password} (shown only now).")
        elif is_new:
            self.stdout.write(f"Account {name}: new, with the password that was given.")
        else:
            self.stdout.write(f"Account {name}: there already.")

    def _give_api_key(self, customer: User, key: str) -> None:
        if not key:
            return
        try:
            api_keys.ensure(customer, "from the environment", key)
        except api_keys.UnusableKey as error:
            raise CommandError(f"TODOKE_API_KEY cannot be used. {error}") from None
        self.stdout.write("API key: the customer has the one that was given.")


def _check_password(variable: str, password: str, user: User) -> None:
    """In development anything goes; elsewhere the rules for everybody's passwords hold."""
    if settings.DEBUG:
        return
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise CommandError(f"{variable} is not a good password. {' '.join(error.messages)}") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MOST):
        raise ArgumentTypeError(f"must be a whole number from 0 to {MOST}, not {text!r}")
    return int(text)
