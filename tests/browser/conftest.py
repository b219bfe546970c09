"""A real browser against the real stack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from orders.sandbox.client import SandboxClient
from tests.harness.processes import Platform, answers, free_port
from tests.harness.shop import customer, product
from tests.harness.waiting import wait_until

PASSWORD = "correct horse battery staple"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    """The running shop, and the sandbox behind it."""

    url: str
    sandbox: SandboxClient
    platform: Platform


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, where it is installed; REQUIRE_BROWSER makes its absence an error."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("Chromium is required and was not found.")
        pytest.skip("There is no Chromium on this machine (on Debian: apt-get install chromium).")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright runs an event loop in this thread
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def site(platform: Platform, settings) -> Iterator[Site]:
    """Web, workers, beat and sandbox, with a customer, an operator and something to buy."""
    with platform.sandbox() as sandbox:
        settings.SANDBOX_URL, settings.SANDBOX_TOKEN = (
            platform.env["SANDBOX_URL"],
            platform.env["SANDBOX_TOKEN"],
        )
        port = free_port()
        argv = ("granian", "--interface", "asgi", "project.asgi:application", "--host", "127.0.0.1")
        platform.start("web", *argv, "--port", str(port))
        platform.whole()
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/healthz"), "the web process to answer")
        product("TEA", price="4.50")
        for user in (customer(), get_user_model().objects.create_superuser("olga", "olga@example.org")):
            user.set_password(PASSWORD)
            user.save()
        yield Site(url, sandbox, platform)


@pytest.fixture
def page(browser: Browser, site: Site, tmp_path: Path) -> Iterator[Page]:
    """A page that fails the test when its console reports an error."""
    context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    opened = context.new_page()
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    context.close()
    assert problems == []


def sign_in(page: Page, site: Site, name: str, path: str = "/accounts/login/") -> None:
    """Sign in through the form."""
    page.goto(site.url + path)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
