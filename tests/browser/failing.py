"""Makes requests of a page fail, and knows what the browser notes of it."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.conftest import Reader


def fail(page: Page, address: str, status: int | None) -> None:
    """Have requests for the address answered so; ``None``: not at all."""
    page.route(
        address, lambda route: route.abort() if status is None else route.fulfill(status=status, body="no")
    )


def noted(reader: Reader) -> None:
    """The browser and htmx noted what happened, and nothing else."""
    assert reader.problems
    known = ("Failed to load resource", "Response Status Error Code", "htmx:sendError", "htmx:afterRequest")
    other = [problem for problem in reader.problems if not problem.startswith(known)]
    reader.problems.clear()
    assert other == []
