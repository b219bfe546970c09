"""The console as a whole: pages, navigation, policy."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.exceptions import BadRequest
from django.db import OperationalError
from django.urls import reverse
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin

from orders.models import DailySales
from orders.services.api_keys import issue
from outbox.admin.controls.pauses import PauseAdmin
from outbox.models import BulkOperation, Pause, RateLimit
from tests.harness.shop import customer
from tests.integration.admin.making import message, shipped_order

INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|\son[a-z]+=|javascript:", re.IGNORECASE)


@pytest.fixture
def everything(superuser: User) -> None:
    """A row of each kind."""
    shipped_order()
    issue(customer(), "ERP")
    DailySales.objects.create(day="2026-11-21", currency="EUR")
    made = message("dead")
    TaskResult.objects.create(
        task_id=str(made.pk), task_name="orders.email_order_paid", status="FAILURE", result="{}"
    )
    GroupResult.objects.create(group_id="g", content_type="json", content_encoding="utf-8")
    LogEntry.objects.log_actions(superuser.pk, [made], 2, "Redriven.")
    BulkOperation.objects.create(
        kind="redrive", query="state=dead", reason="Why.", expected=1, last=made.pk, asked_by="root"
    )
    Pause.objects.create(scope="queue", value="payment", reason="The provider is down.", paused_by="root")
    RateLimit.objects.create(type="orders.payment.charge", per_second=5, reason="The provider is slow.")


def pages() -> list[tuple[str, str]]:
    """List and object page of every model in the console."""
    return [
        (model._meta.label_lower, view)
        for model in admin.site._registry
        if model._meta.managed  # the others have no rows, and tests of their own
        for view in ("changelist", "change", "add")
    ]


def address(label: str, view: str) -> str:
    """Where a page of a model is."""
    model = next(m for m in admin.site._registry if m._meta.label_lower == label)
    args = [model._default_manager.first().pk] if view == "change" else []
    return reverse(f"admin:{label.replace('.', '_')}_{view}", args=args)


@pytest.mark.parametrize(("label", "view"), pages())
def test_every_page_works_without_inline_script(as_, superuser, everything, label, view):
    """Every list, object and form, for who may see all: it renders, and the policy has nothing to block."""
    response = as_(superuser).get(address(label, view))
    if view == "add" and response.status_code == 403:
        return  # nobody adds these by hand
    assert response.status_code == 200
    page = response.content.decode()
    assert not INLINE_SCRIPT.findall(page)
    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval';" in policy


def test_every_model_is_in_the_theme():
    """No page falls out of the console's look."""
    assert all(isinstance(model_admin, ModelAdmin) for model_admin in admin.site._registry.values())


@pytest.mark.parametrize("who", ["superuser", "operator", "reader"])
def test_the_start_page_works(as_, who, request):
    """For everybody who may come in."""
    response = as_(request.getfixturevalue(who)).get("/admin/")
    assert response.status_code == 200
    assert "Todoke" in response.content.decode()


def test_the_navigation_shows_what_one_may_see(as_, superuser, reader, reader_with):
    """A reader has no link to accounts; who sees only messages has no link to anything else."""

    def links(user: User) -> set[str]:
        page = as_(user).get("/admin/").content.decode()
        return set(re.findall(r'href="(/admin/[a-z_]+/[a-z]+/)"', page))

    assert {"/admin/auth/user/", "/admin/outbox/message/", "/admin/saga/saga/"} <= links(superuser)
    assert {"/admin/outbox/message/", "/admin/saga/saga/", "/admin/orders/order/"} <= links(reader)
    assert not [link for link in links(reader) if "/auth/" in link]
    reader.groups.clear()
    assert links(reader_with("outbox.view_message")) == {"/admin/outbox/message/"}


def test_flower_is_linked_only_where_there_is_one(as_, reader, settings):
    """By its setting."""
    settings.FLOWER_URL = ""
    assert "Flower" not in as_(reader).get("/admin/").content.decode()
    settings.FLOWER_URL = "https://flower.example.org"
    assert 'href="https://flower.example.org"' in as_(reader).get("/admin/").content.decode()


def test_customers_are_kept_out(db, as_, client):
    """Neither strangers nor customers get in."""
    for browser in (client, as_(customer())):
        response = browser.get("/admin/outbox/message/")
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/")


def test_a_customer_reads_why_there_is_a_form(db, as_, client):
    """Who is signed in already is told that this account may not; a stranger is not."""
    told = "You are signed in as ada, who has no permission to use the console."
    assert told in as_(customer()).get("/admin/", follow=True).content.decode()
    assert "You are signed in" not in client.get("/admin/", follow=True).content.decode()


def test_errors_lead_back_to_the_console(as_, reader, client):
    """Whoever works there wants to stay; elsewhere it is the shop."""
    gone = "/admin/outbox/message/panels/nonsense/"
    refused = "/admin/outbox/message/all/redrive/?state=dead"
    for path in (refused, gone):
        page = as_(reader).get(path, follow=True).content.decode()
        assert "Back to the console" in page, path
        assert 'name="next" value="/"' in page
    assert "Back to the console" not in as_(reader).get("/nowhere").content.decode()
    assert "Go to the shop" in as_(reader).get("/nowhere").content.decode()


@pytest.mark.parametrize(
    ("error", "status"), [(ZeroDivisionError(), 500), (OperationalError("gone"), 503), (BadRequest(), 400)]
)
def test_so_do_pages_that_ask_nobody_who_is_signed_in(as_, reader, monkeypatch, error, status):
    """A crash and a database that is away, in Japanese, too."""

    def fail(*_):
        raise error

    monkeypatch.setattr(PauseAdmin, "get_queryset", fail)
    browser = as_(reader)
    browser.raise_request_exception = False
    for language, way in (("en", "Back to the console"), ("ja", "コンソールに戻る")):
        answer = browser.get("/admin/outbox/pause/", headers={"Accept-Language": language})
        assert answer.status_code == status
        assert f'href="/admin/">{way}</a>' in answer.content.decode()


class TestRoles:
    """The groups that ship."""

    SEEN = {"outbox": 6, "saga": 5, "orders": 10, "django_celery_results": 2, "admin": 1}

    def names(self, group: str) -> set[str]:
        """Its permissions."""
        rows = Group.objects.get(name=group).permissions.values_list("content_type__app_label", "codename")
        return {f"{app}.{codename}" for app, codename in rows}

    def test_readers_only_see(self, db):
        """Everything of the platform and the shop, and no accounts."""
        assert all(name.split(".")[1].startswith("view_") for name in self.names("Readers"))
        assert len(self.names("Readers")) == sum(self.SEEN.values())

    def test_operators_also_act(self, db):
        """What the operations ask for, and nothing else."""
        assert self.names("Operators") - self.names("Readers") == {
            "outbox.add_message",
            "outbox.redrive_message",
            "outbox.discard_message",
            "outbox.send_message",
            "outbox.control_relay",
            "saga.operate_saga",
            "orders.change_faultswitch",
        }

    def test_a_migration_gives_back_and_takes_nothing(self, transactional_db):
        """What a group must have comes back; what was added to it stays; the same after a flush."""
        from django.contrib.auth.models import Permission
        from django.core.management import call_command

        operators = Group.objects.get(name="Operators")
        operators.permissions.remove(Permission.objects.get(codename="operate_saga"))
        operators.permissions.add(Permission.objects.get(codename="change_product"))
        call_command("migrate", verbosity=0)
        assert {"saga.operate_saga", "orders.change_product"} <= self.names("Operators")
        call_command("flush", interactive=False, verbosity=0)
        assert "saga.operate_saga" in self.names("Operators")
