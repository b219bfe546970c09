"""``manage.py seed``: something to sell and somebody to try it, as often as one likes."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from pytest_django import Settings

from orders.models import ApiKey, Product, Stock
from orders.services import api_keys

pytestmark = pytest.mark.django_db
GOOD_PASSWORD = "Zq7-river-lantern"
KEY = "tdk_" + "k" * 43


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TODOKE_OPERATOR_PASSWORD", "TODOKE_CUSTOMER_PASSWORD", "TODOKE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def seed(*options: str) -> str:
    """Run it; returns what it prints."""
    out = StringIO()
    call_command("seed", *options, stdout=out)
    return out.getvalue()


def test_a_catalogue_with_stock_and_two_accounts() -> None:
    """Most products in plenty, one nearly gone; a customer who gets letters."""
    seed()

    assert 8 <= Product.objects.count() <= 12
    stocks = sorted(Stock.objects.values_list("on_hand", flat=True))
    assert len(stocks) == Product.objects.count()
    assert stocks[0] < 10
    assert stocks[1] >= 100_000
    assert User.objects.get(username="customer").email == "customer@example.org"
    assert not User.objects.get(username="customer").is_staff
    assert User.objects.get(username="operator").is_staff


def test_a_second_time_changes_nothing() -> None:
    """Prices, stock and passwords that people have changed since are theirs."""
    seed()
    Product.objects.filter(sku="BOWL-01").update(price="40.00")
    Stock.objects.update(on_hand=5)
    passwords = list(User.objects.order_by("username").values_list("password", flat=True))
    printed = seed()

    assert Product.objects.get(sku="BOWL-01").price == 40
    assert set(Stock.objects.values_list("on_hand", flat=True)) == {5}
    assert list(User.objects.order_by("username").values_list("password", flat=True)) == passwords
    assert "password" not in printed


def test_generated_passwords_are_printed_once_and_work() -> None:
    """Different ones, for both."""
    found = dict(re.findall(r"Account (\w+): new, with the password (\S+) ", seed()))

    assert set(found) == {"operator", "customer"}
    assert len(set(found.values())) == 2
    for name, password in found.items():
        assert User.objects.get(username=name).check_password(password)


def test_passwords_from_the_environment_hold_and_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for accounts that are there already: what the environment says is true."""
    seed()
    monkeypatch.setenv("TODOKE_CUSTOMER_PASSWORD", GOOD_PASSWORD)
    printed = seed()

    assert User.objects.get(username="customer").check_password(GOOD_PASSWORD)
    assert GOOD_PASSWORD not in printed


@pytest.mark.parametrize("password", ["x", "1234567", "password", "12345678901", "customer1"])
def test_a_poor_password_is_refused_where_it_matters(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, password: str
) -> None:
    """Names the variable, says why, and changes nothing. In development anything goes."""
    settings.DEBUG = False
    monkeypatch.setenv("TODOKE_CUSTOMER_PASSWORD", password)
    with pytest.raises(CommandError, match="TODOKE_CUSTOMER_PASSWORD is not a good password") as refused:
        seed()
    assert password == "password" or password not in str(refused.value)
    assert not User.objects.exists()

    settings.DEBUG = True
    seed()
    assert User.objects.get(username="customer").check_password(password)


@pytest.mark.parametrize("debug", [True, False])
def test_the_operator_is_almighty_only_in_development(settings: Settings, debug: bool) -> None:
    """Elsewhere the group says what operators may do."""
    settings.DEBUG = debug
    group = Group.objects.get_or_create(name="Operators")[0]
    seed()
    operator = User.objects.get(username="operator")

    assert operator.is_superuser is debug
    assert group in operator.groups.all()


def test_the_api_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer's, once, however often it runs; never printed."""
    monkeypatch.setenv("TODOKE_API_KEY", KEY)
    printed = seed() + seed()

    assert api_keys.customer_of(KEY) == User.objects.get(username="customer")
    assert ApiKey.objects.count() == 1
    assert KEY not in printed


@pytest.mark.parametrize("key", ["short", "tdk_short", "k" * 60, "tdk_" + "ü" * 40])
def test_an_api_key_that_could_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A sentence that says how one looks; nothing changes."""
    monkeypatch.setenv("TODOKE_API_KEY", key)
    with pytest.raises(CommandError, match="TODOKE_API_KEY cannot be used"):
        seed()
    assert not Product.objects.exists()


def test_an_api_key_of_somebody_else_or_a_revoked_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key opens one customer's orders, and a revoked one nothing."""
    api_keys.ensure(User.objects.create(username="bob"), "bob's", KEY)
    monkeypatch.setenv("TODOKE_API_KEY", KEY)
    with pytest.raises(CommandError, match="another customer"):
        seed()

    ApiKey.objects.all().delete()
    seed()
    ApiKey.objects.update(revoked_at="2026-01-01T00:00:00Z")
    with pytest.raises(CommandError, match="revoked"):
        seed()


def test_stock_is_topped_up_to_what_is_asked_for() -> None:
    """Available to new orders, on top of what is promised; more is left alone."""
    seed()
    Stock.objects.filter(product__sku="KNIFE-165").update(on_hand=10, reserved=8)
    seed("--stock", "500")

    knife = Stock.objects.get(product__sku="KNIFE-165")
    assert (knife.on_hand, knife.reserved) == (508, 8)
    assert Stock.objects.get(product__sku="BOWL-01").on_hand == 100_000


@pytest.mark.parametrize("number", ["-1", "many", "1.5", "99999999999"])
def test_a_stock_that_is_no_number(number: str) -> None:
    """Said in a sentence."""
    with pytest.raises(CommandError, match="whole number"):
        seed(f"--stock={number}")
