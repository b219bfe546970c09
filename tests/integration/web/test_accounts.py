"""Signing up, in and out."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.integration.web.conftest import Browser, text_of

PASSWORD = "correct horse battery"
FORM = {
    "username": "grace",
    "email": "grace@example.org",
    "password1": PASSWORD,
    "password2": PASSWORD,
}


def sign_up(client: Client | None = None, **changes: str) -> Any:
    """Send the form for a new account."""
    return (client or Client()).post("/accounts/sign-up/", FORM | changes)


@pytest.fixture
def ada(browser: Browser) -> User:
    """Somebody with an account."""
    browser.customer.set_password(PASSWORD)
    browser.customer.save()
    return browser.customer


def test_signing_in_and_out(ada: User) -> None:
    """With the password, and back to where one wanted to go; signing out ends it."""
    client = Client()
    signed_in = client.post("/accounts/login/?next=/orders/", {"username": "ada", "password": PASSWORD})
    assert signed_in.headers["Location"] == "/orders/"
    assert client.get("/orders/").status_code == 200

    client.post("/accounts/logout/")
    assert client.get("/orders/").status_code == 302


def test_a_failed_sign_in_does_not_tell_what_was_wrong(ada: User) -> None:
    """The same words for a wrong password and for a name that nobody has."""
    told = [
        text_of(Client().post("/accounts/login/", {"username": name, "password": "wrong"})).replace(name, "")
        for name in ("ada", "nobody")
    ]
    assert "Please enter a correct username and password" in told[0]
    assert told[0] == told[1]


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/sign-up/"])
@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_next_leads_nowhere_else(ada: User, path: str, elsewhere: str) -> None:
    """Another site in ``next`` is ignored."""
    form = FORM | {"next": elsewhere}
    if "login" in path:
        form |= {"username": "ada", "password": PASSWORD}

    assert Client().post(path, form).headers["Location"] == "/"


def test_signing_up(db: None) -> None:
    """Makes an ordinary account, signs it in, and leads back to where one wanted to go."""
    client = Client()
    response = sign_up(client, next="/checkout/")

    assert response.headers["Location"] == "/checkout/"
    grace = User.objects.get()
    assert (grace.username, grace.email) == ("grace", "grace@example.org")
    assert (grace.is_staff, grace.is_superuser) == (False, False)
    assert grace.check_password(PASSWORD)
    assert client.get("/orders/").status_code == 200


def test_flags_cannot_be_signed_up_for(db: None) -> None:
    """Fields that are not on the form change nothing."""
    sign_up(is_staff="on", is_superuser="on")

    assert User.objects.values_list("is_staff", "is_superuser").get() == (False, False)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"password1": "password", "password2": "password"}, "password2", "too common"),
        ({"password1": "1234567", "password2": "1234567"}, "password2", "entirely numeric"),
        ({"password1": "grace-gr", "password2": "grace-gr"}, "password2", "too similar"),
        ({"password2": "another one"}, "password2", "match"),
        ({"email": ""}, "email", "required"),
        ({"email": "grace"}, "email", "valid email"),
        ({"username": "gra ce"}, "username", "valid username"),
        ({"username": ""}, "username", "required"),
    ],
)
def test_what_is_wrong_is_said_next_to_its_field(
    db: None, changes: dict[str, str], field: str, message: str
) -> None:
    """With Django's validators; no account is made, and no password comes back."""
    response = sign_up(**changes)

    assert response.status_code == 422
    assert message in " ".join(response.context["form"].errors[field])
    assert message in text_of(response)
    assert PASSWORD not in response.text
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["ada", "ADA", "admin", "Root"])
def test_a_name_that_is_taken_looks_like_one_that_nobody_can_have(ada: User, name: str) -> None:
    """One answer for all of them."""
    errors = sign_up(username=name).context["form"].errors

    assert errors == {"username": ["This user name cannot be had. Please choose another one."]}


def test_an_e_mail_address_in_use_is_not_told(ada: User) -> None:
    """Who has an account here is nobody's business: the address is taken without a word."""
    assert sign_up(email=ada.email).status_code == 302


def test_who_is_signed_in_needs_no_account(browser: Browser) -> None:
    """They are led on."""
    assert browser.get("/accounts/sign-up/?next=/orders/").headers["Location"] == "/orders/"
