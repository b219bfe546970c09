"""System checks of what the admin's pages are made of."""

from __future__ import annotations

import pytest

from outbox.checks import check_console, console_problems

ADMIN = "django.contrib.admin"
ALL = ["unfold", "unfold.contrib.filters", ADMIN, "django.contrib.humanize", "outbox"]


@pytest.mark.parametrize("missing", ["unfold", "unfold.contrib.filters", "django.contrib.humanize"])
def test_a_missing_application_is_named(missing: str) -> None:
    """Without it some page would be a server error."""
    (problem,) = console_problems([name for name in ALL if name != missing])
    assert problem.id == "outbox.E004"
    assert problem.msg.endswith(f"need {missing}.")
    assert repr(missing) in str(problem.hint)
    assert (ADMIN in str(problem.hint)) == missing.startswith("unfold")


def test_applications_that_come_too_late_are_named() -> None:
    """Behind Django's admin unfold would have the admin lose its pages."""
    (problem,) = console_problems([ADMIN, *(name for name in ALL if name != ADMIN)])
    assert problem.id == "outbox.E005"
    assert "unfold and unfold.contrib.filters must come before" in problem.msg


def test_a_project_without_the_admin_needs_none_of_them() -> None:
    """There are no pages."""
    assert console_problems(["django.contrib.auth", "outbox"]) == []


def test_this_project_has_them() -> None:
    """In the order that it takes."""
    assert console_problems(ALL) == []
    assert check_console(None) == []
