"""Redrive, discard, send now: permitted, by POST, audited."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import Client

from outbox.admin.message_operations import DISCARD, OPERATIONS, REDRIVE
from outbox.admin.operating import MOST_AT_ONCE
from outbox.models import Message
from outbox.relay.wakeup import wake
from tests.integration.admin.making import dead, entries, message, said

LIST = "/admin/outbox/message/"
CASES = [
    ("redrive", "outbox.redrive_message", "dead", "Redriven."),
    ("discard", "outbox.discard_message", "dead", "Discarded: It is a duplicate."),
    ("send-now", "outbox.send_message", "retrying", "Made due at once."),
]
REASON = {"reason": "It is a duplicate."}


def on(made: Message, operation: str) -> str:
    """The address of an operation on one message."""
    return f"{LIST}{made.pk}/operate/{operation}/"


def selecting(operation: str, *made: Message, **more: object) -> dict[str, object]:
    """The form of the list with these rows selected."""
    return {"action": operation, "_selected_action": [m.pk for m in made], "index": 0, **more}


def row(made: Message) -> dict[str, object]:
    """The message's columns as they are now."""
    return Message.objects.filter(pk=made.pk).values().get()


def is_done(operation: str, made: Message) -> bool:
    """Whether the operation has taken effect."""
    now = Message.objects.get(pk=made.pk)
    if operation == "discard":
        return now.discarded_at is not None and now.last_error == "Discarded: It is a duplicate."
    if operation == "redrive":
        return now.status == "pending" and now.redriven_after == now.attempts == made.attempts > 0
    return now.status == "pending" and now.next_attempt_at > made.next_attempt_at


@pytest.mark.parametrize(("operation", "permission", "state", "audit"), CASES)
class TestEach:
    """What holds for each operation."""

    def test_is_refused_without_its_permission(self, as_, reader_with, operation, permission, state, audit):
        """All the others' permissions are not enough: 403 in the handlers, nothing changed, nothing noted."""
        others = [p for _, p, _, _ in CASES if p != permission]
        user = reader_with(*others)
        browser, made = as_(user), message(state)
        before = row(made)
        assert browser.get(on(made, operation)).status_code == 403
        assert browser.post(on(made, operation), REASON).status_code == 403
        for form in (selecting(operation, made), selecting(operation, made, confirmed=1, **REASON)):
            assert browser.post(LIST, form).status_code == 403
        assert row(made) == before
        assert not LogEntry.objects.exists()

    def test_is_refused_to_who_may_only_read(self, as_, reader, operation, permission, state, audit):
        """A reader has no operation at all, and sees no button."""
        made = message(state)
        assert as_(reader).post(LIST, selecting(operation, made)).status_code == 403
        assert as_(reader).post(on(made, operation), REASON).status_code == 403
        assert "/operate/" not in as_(reader).get(f"{LIST}{made.pk}/change/").content.decode()

    def test_works_on_the_page(self, as_, reader_with, operation, permission, state, audit):
        """With its permission alone it works, leads back to the message, and is in the history with who and what."""
        user, made = reader_with(permission), message(state)
        assert on(made, operation) in as_(user).get(f"{LIST}{made.pk}/change/").content.decode()
        response = as_(user).post(on(made, operation), REASON)
        assert response.headers["Location"] == f"{LIST}{made.pk}/change/"
        assert is_done(operation, made)
        assert entries(user) == [(str(made.pk), audit)]
        history = as_(user).get(f"{LIST}{made.pk}/history/").content.decode()
        assert "rita" in history
        assert audit in history

    def test_works_on_the_list(self, as_, reader_with, operation, permission, state, audit):
        """Of the selected messages those in the state for it are changed, each audited; both numbers are told."""
        user = reader_with(permission)
        good, bad = [message(state), message(state)], [message("consumed"), message("discarded")]
        untouched = [row(m) for m in bad]
        form = selecting(operation, *good, *bad, confirmed=1, **REASON)
        response = as_(user).post(f"{LIST}?type=orders.order_paid", form, follow=True)
        assert response.redirect_chain == [(f"{LIST}?type=orders.order_paid", 302)]
        assert all(is_done(operation, m) for m in good)
        assert [row(m) for m in bad] == untouched
        assert sorted(entries(user)) == sorted((str(m.pk), audit) for m in good)
        assert [text.split()[0] for text in said(response)] == ["2", "2"]

    def test_changes_by_post_only(self, as_, superuser, operation, permission, state, audit):
        """GET asks, and changes nothing; other methods are not allowed."""
        made = message(state)
        before = row(made)
        assert as_(superuser).get(on(made, operation)).status_code == 200
        assert as_(superuser).put(on(made, operation)).status_code == 405
        assert row(made) == before

    def test_needs_the_token(self, superuser, operation, permission, state, audit):
        """A form from another site is refused."""
        browser, made = Client(enforce_csrf_checks=True), message(state)
        browser.force_login(superuser)
        before = row(made)
        assert browser.post(on(made, operation), REASON).status_code == 403
        assert browser.post(LIST, selecting(operation, made, confirmed=1, **REASON)).status_code == 403
        assert row(made) == before

    def test_comes_too_late_without_harm(self, as_, superuser, operation, permission, state, audit):
        """A message that left the state meanwhile stays as it is; the user is told."""
        made = message("consumed")
        response = as_(superuser).post(on(made, operation), REASON, follow=True)
        assert row(made)["consumed_at"] is not None
        assert said(response)[0].startswith("1 message was ")
        assert not LogEntry.objects.exists()


class TestDiscarding:
    """Discarding asks for a reason."""

    def test_asks_and_names_how_many(self, as_, operator):
        """The first POST changes nothing: its page asks why, and says how many messages it is about."""
        made = dead(3)
        response = as_(operator).post(LIST, selecting("discard", *made))
        page = response.content.decode()
        assert "Discard 3 messages?" in page
        assert page.count('name="_selected_action"') == 3
        assert not Message.objects.filter(discarded_at__isnull=False).exists()

    @pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
    def test_is_refused_without_a_usable_reason(self, as_, operator, reason):
        """The page comes again, with the error at the field and the selection kept."""
        made = dead(2)
        response = as_(operator).post(LIST, selecting("discard", *made, confirmed=1, reason=reason))
        assert response.context["form"].errors["reason"]
        assert response.content.decode().count('name="_selected_action"') == 2
        response = as_(operator).post(on(made[0], "discard"), {"reason": reason})
        assert response.context["form"].errors["reason"]
        assert not Message.objects.filter(discarded_at__isnull=False).exists()

    def test_tells_of_messages_that_left_the_filter_meanwhile(self, as_, operator):
        """Between the question and the answer another operator redrives one: it is counted, not lost from sight."""
        first, second = dead(2)
        REDRIVE.run(operator, [second.pk])
        form = selecting("discard", first, second, confirmed=1, **REASON)
        response = as_(operator).post(f"{LIST}?state=dead", form, follow=True)
        assert [text.split()[0] for text in said(response)] == ["1", "1"]


def test_the_page_offers_what_applies(as_, operator):
    """A pending message can be sent now, a dead one redriven or discarded, a consumed one nothing."""
    offers = {
        state: [
            o.name
            for o in OPERATIONS
            if on(made, o.name) in as_(operator).get(f"{LIST}{made.pk}/change/").content.decode()
        ]
        for state in ("pending", "dead", "consumed", "discarded", "processing")
        for made in [message(state)]
    }
    assert offers == {
        "pending": ["send-now"],
        "dead": ["redrive", "discard"],
        "consumed": [],
        "discarded": [],
        "processing": [],
    }


def test_too_many_at_once_are_refused(as_, operator):
    """One transaction stays short: beyond the bound nothing is changed, and the bound is told."""
    dead(MOST_AT_ONCE + 1)
    form = selecting("redrive", Message.objects.first(), select_across=1)
    response = as_(operator).post(LIST, form, follow=True)
    assert str(MOST_AT_ONCE) in said(response)[0]
    assert Message.objects.filter(status="failed").count() == MOST_AT_ONCE + 1


def test_nonsense_selections_are_refused_kindly(as_, operator):
    """What is no id leads back to the list with a word about it."""
    response = as_(operator).post(
        LIST, {"action": "redrive", "_selected_action": "x", "index": 0}, follow=True
    )
    assert "not understood" in said(response)[0]


def test_an_unknown_operation_is_not_found(as_, superuser):
    """There is nothing to do under another name."""
    assert as_(superuser).post(on(message(), "explode")).status_code == 404


def test_wakes_the_relay_after_the_commit(as_, operator, django_capture_on_commit_callbacks):
    """A redriven message does not wait for the next poll."""
    (made,) = dead()
    with django_capture_on_commit_callbacks() as callbacks:
        as_(operator).post(on(made, "redrive"))
    assert wake in callbacks


def test_a_change_without_its_audit_does_not_happen(transactional_db):
    """Both are one transaction: where the entry cannot be written, the message stays as it was."""
    user = User.objects.create_superuser("gone")
    (made,) = dead()
    User.objects.filter(pk=user.pk).delete()
    with pytest.raises(IntegrityError):
        DISCARD.run(user, [made.pk], "A reason.")
    assert Message.objects.get(pk=made.pk).discarded_at is None


def test_operations_guard_themselves(operator, reader):
    """Whoever calls them from code is checked like a page: permission and reason."""
    from django.contrib.auth.models import AnonymousUser
    from django.core.exceptions import PermissionDenied

    (made,) = dead()
    for nobody in (reader, AnonymousUser()):
        with pytest.raises(PermissionDenied):
            REDRIVE.run(nobody, [made.pk])
    with pytest.raises(ValueError, match="needs a reason"):
        DISCARD.run(operator, [made.pk], "  ")
    assert row(made)["status"] == "failed"
