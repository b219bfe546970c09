"""The console as an operator in Japan reads it: no label of any page is left in English."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.urls import reverse
from django.utils.timezone import now
from django_celery_results.models import GroupResult, TaskResult

from orders.models import ApiKey, DailySales, Product
from outbox import known
from outbox.models import BulkOperation, Message, Pause, RateLimit
from outbox.saga.models import Saga
from tests.integration.admin.making import message, sagas_in_all_states, shipped_order, states, step_back

NAMES = {
    "Todoke",
    "Flower",
    "English",
    "JSON",
    "UTC",
    "esc",
    "SKU",
    "ID",
    "PBKDF2",
    "SHA256",
    "TRK",
    "EUR",
    "ms",
}
"""Names, units and codes: the same in every language."""
TECHNICAL = re.compile(
    r"[\w•…-]+(?:[.:@/=][\w•…/-]+)+"  # orders.order_paid, celery@one, state=dead
    r"|\b[0-9a-f]{4,}(?:-[0-9a-f]{2,})*\b"  # ids
    r"|\b[a-z]+_\w+\b",  # parameters, tokens
    re.IGNORECASE,
)
PHRASE = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")
"""English beside Japanese, as in a sentence that was translated in part."""
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
WORD = re.compile(r"[A-Za-z]{2,}")
UNREAD = {"script", "style", "code", "pre", "svg", "time", "textarea", "head"}
SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-label")


class Labels(HTMLParser):
    """Collects what a page says, in texts and in the attributes that are read to people."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.unread: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNREAD:
            self.unread.append(tag)
        given = dict(attrs)
        if ("lang" in given and given["lang"] != "ja") or "material-symbols-outlined" in (
            given.get("class") or ""
        ):
            self.unread.append(tag)
        self.said += [given[name] or "" for name in SPOKEN if name in given]

    def handle_endtag(self, tag: str) -> None:
        if self.unread and self.unread[-1] == tag:
            self.unread.pop()

    def handle_data(self, data: str) -> None:
        if not self.unread and data.strip():
            self.said.append(" ".join(data.split()))


def english(page: str, data: Iterable[str]) -> set[str]:
    """What a page says without a word of Japanese: no name, no technical term, and no data of the test's own."""
    labels = Labels()
    labels.feed(page)
    known = {*NAMES, *data}
    return {
        said
        for said in labels.said
        if PHRASE.search(said)
        or not (JAPANESE.search(said) or set(WORD.findall(TECHNICAL.sub(" ", said))) <= known)
    }


@pytest.fixture
def rows(superuser: User, settings) -> dict[type[Model], Model]:
    """A row of each kind that the console shows."""
    settings.FLOWER_URL = "https://flower.example.org"
    for state in states():
        message(state, last_error="")
    for saga in sagas_in_all_states():
        Saga.objects.filter(pk=saga.pk).update(reason="理由", attention="理由")
    step_back(Saga.objects.filter(status="running").latest("id"), ConnectionError("接続できません"))
    order = shipped_order()
    LogEntry.objects.log_actions(superuser.pk, [order], CHANGE, "変更")
    DailySales.objects.create(day=now(), currency="EUR", orders=1, revenue=9)
    made: list[Model] = [
        ApiKey.objects.create(customer=order.customer, name="鍵", prefix="tdk_1", key_hash="x"),
        Pause.objects.create(scope="type", value="orders.order_paid", reason="理由", paused_by="root"),
        RateLimit.objects.create(type="orders.order_paid", per_second=5, reason="理由", set_by="root"),
        BulkOperation.objects.create(
            kind="redrive", query="state=dead", reason="理由", expected=2, last=uuid4(), asked_by="root"
        ),
        TaskResult.objects.create(task_id=str(uuid4()), task_name="orders.tick", status="SUCCESS"),
        GroupResult.objects.create(group_id=str(uuid4()), result="{}"),
        Message.objects.filter(status="failed", discarded_at=None).latest("id"),
        *(model.objects.latest("pk") for model in (Saga, User, Group, LogEntry, DailySales, Product)),
        order,
    ]
    return {type(row): row for row in made}


DATA = {
    *("root", "ada", "Ada", "Example", "Unter", "den", "Linden", "Berlin", "DE", "Tea", "TEA"),
    *("Readers", "Operators", "default", "outbox", "inventory", "payment", "shipping"),
    *("Group", "Task", "SUCCESS"),  # what Celery's results call themselves
}
"""What the rows of this test hold."""


def addresses(rows: dict[type[Model], Model]) -> Iterator[str]:
    """Of lists and forms, of each kind's page and history, and of what is asked before something is done."""
    yield from (reverse(f"admin:{name}") for name in ("index", "password_change"))
    for model in admin.site._registry:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield from (base, f"{base}add/")
        if model in rows:
            yield from (f"{base}{rows[model].pk}/{page}/" for page in ("change", "history"))
    yield f"/admin/orders/product/{rows[Product].pk}/delete/"
    for name in ("redrive", "discard", "send-now"):
        yield f"/admin/outbox/message/{rows[Message].pk}/operate/{name}/"
    for name in ("redrive", "discard"):
        yield f"/admin/outbox/message/all/{name}/"
    for name in (
        "retry",
        "resume",
        "compensate",
        "cancel",
        "pause",
        "unpause",
        "skip",
        "done",
        "resume-from",
    ):
        yield f"/admin/saga/saga/{rows[Saga].pk}/operate/{name}/"
    yield from ("/admin/saga/saga/bulk/", "/admin/saga/saga/definitions/orders.fulfilment/pause/")


def test_no_page_of_the_console_has_a_label_in_english(as_, superuser, rows, sandbox):
    """Lists, forms, pages, histories and questions: what is not a name or data has a word of Japanese."""
    browser = as_(superuser)
    panels = re.findall(r"/admin/outbox/message/panels/\w+/", browser.get("/admin/").content.decode())
    assert len(set(panels)) >= 6
    found = {}
    names = DATA | set(known.queues())  # also those of tasks that other tests have brought
    for address in (*addresses(rows), *panels):
        answer = browser.get(address, headers={"accept-language": "ja"}, follow=True)
        assert answer.status_code in (200, 403, 404, 405), address
        if answer.status_code == 200 and (left := english(answer.content.decode(), names)):
            found[address] = left
    said = {text: address for address, texts in found.items() for text in texts}
    assert not said, "\n".join(f"{text!r}: {address}" for text, address in sorted(said.items()))
