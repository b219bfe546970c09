"""Who may use the API: programs with a key, and people who are signed in."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client
from django.utils.crypto import get_random_string

from orders.models import ApiKey, Order
from orders.services import api_keys
from tests.harness import shop
from tests.integration.api.conftest import BODY, Api, problem

KEY = {"Idempotency-Key": "k-1"}


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer tdk_wrong", "Basic YWRhOmFkYQ==", "tdk_x", "Bearer ü"]
)
def test_without_a_valid_key_nothing_is_told(api: Api, header: str | None) -> None:
    """401, saying which scheme is wanted."""
    headers = {} if header is None else {"Authorization": header}
    response = Client().get("/api/orders", headers=headers)

    assert problem(response, 401)["code"] == "unauthorized"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_key_opens_nothing(api: Api) -> None:
    """From the moment that it is revoked."""
    assert api.get("/orders").status_code == 200
    ApiKey.objects.update(revoked_at=Now())

    problem(api.get("/orders"), 401)


def test_the_key_of_a_customer_who_was_shut_out_opens_nothing(api: Api) -> None:
    """An inactive account's keys are as good as none."""
    api.customer.is_active = False
    api.customer.save()

    problem(api.get("/orders"), 401)


def test_the_key_itself_is_not_kept(api: Api) -> None:
    """Who reads the database cannot use the API."""
    kept = ApiKey.objects.values().get()

    assert api.secret not in str(kept)
    assert len(api.secret) >= 40
    assert api.secret.startswith(kept["prefix"])


def test_a_session_reads(api: Api) -> None:
    """The site's own pages may use the API."""
    browser = Client()
    browser.force_login(api.customer)

    assert browser.get("/api/orders").status_code == 200


def test_a_session_writes_only_with_its_csrf_token(api: Api) -> None:
    """Another site that makes the customer's browser send a request cannot order anything."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(api.customer)
    refused = browser.post("/api/orders", BODY, content_type="application/json", headers=KEY)
    assert problem(refused, 403)["code"] == "csrf_failed"
    assert not Order.objects.exists()

    token = get_random_string(32)
    browser.cookies["csrftoken"] = token
    headers = {**KEY, "X-CSRFToken": token}
    accepted = browser.post("/api/orders", BODY, content_type="application/json", headers=headers)
    assert accepted.status_code == 202


def test_a_key_needs_no_csrf_token(api: Api) -> None:
    """No browser sends it by itself."""
    client = Client(enforce_csrf_checks=True)
    headers = {**KEY, "Authorization": f"Bearer {api.secret}"}

    assert (
        client.post("/api/orders", BODY, content_type="application/json", headers=headers).status_code == 202
    )


def test_a_wrong_key_is_not_saved_by_a_session(api: Api) -> None:
    """Who sends a key is judged by it: a program must notice that its key is wrong."""
    browser = Client()
    browser.force_login(api.customer)

    problem(browser.get("/api/orders", headers={"Authorization": "Bearer tdk_wrong"}), 401)


def test_nobody_signed_in_gets_401_also_for_writing() -> None:
    """Not 403: what is missing is who they are."""
    problem(Client(enforce_csrf_checks=True).post("/api/orders", BODY, content_type="application/json"), 401)


@pytest.mark.django_db
def test_the_command_makes_a_key_that_works() -> None:
    """Standard output is the key alone, so that a script can take it."""
    shop.customer("ada")
    out = StringIO()
    call_command("create_api_key", "ada", "--name", "till 3", stdout=out, stderr=StringIO())
    secret = out.getvalue().removesuffix("\n")

    assert api_keys.customer_of(secret) == shop.customer("ada")
    assert ApiKey.objects.get().name == "till 3"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("user", "name"), [("nobody", "x"), ("ada", " "), ("ada", "x" * 81), ("ada", "a\x00")]
)
def test_the_command_says_what_it_cannot_do(user: str, name: str) -> None:
    """An unknown user or an unusable name: a sentence, and no key."""
    shop.customer("ada")
    with pytest.raises(CommandError):
        call_command("create_api_key", user, "--name", name)
    assert not ApiKey.objects.exists()
