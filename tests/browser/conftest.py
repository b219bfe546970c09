"""A real browser against the real stack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

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


Scheme = Literal["light", "dark"]


@dataclass
class Shop:
    """The running shop."""

    url: str


@dataclass
class Site(Shop):
    """The running shop, and the sandbox behind it."""

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
        url = start_web(platform)
        platform.whole()
        wait_until(lambda: answers(f"{url}/healthz"), "the web process to answer")
        product("TEA", price="4.50")
        for user in (customer(), get_user_model().objects.create_superuser("olga", "olga@example.org")):
            user.set_password(PASSWORD)
            user.save()
        yield Site(url, sandbox, platform)


@pytest.fixture
def shop_alone(platform: Platform) -> Shop:
    """The web process alone, with a customer: what happens to orders is up to the test."""
    url = start_web(platform)
    ada = customer()
    ada.set_password(PASSWORD)
    ada.save()
    wait_until(lambda: answers(f"{url}/healthz"), "the web process to answer")
    return Shop(url)


def start_web(platform: Platform, **env: str) -> str:
    """Start a web process; returns its address, where it answers in a moment."""
    port = free_port()
    argv = ("granian", "--interface", "asginl", "project.asgi:application", "--host", "127.0.0.1")
    platform.start("web", *argv, "--port", str(port), **env)
    return f"http://127.0.0.1:{port}"


@dataclass
class Reader:
    """Opens pages as somebody would, and notes what their consoles report."""

    browser: Browser
    problems: list[str]
    contexts: list[BrowserContext]

    def open(
        self,
        *,
        width: int = 1280,
        language: str = "en-GB",
        scheme: Scheme = "light",
        zone: str = "Europe/Berlin",
        script: bool = True,
    ) -> Page:
        """An empty page."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            locale=language,
            color_scheme=scheme,
            timezone_id=zone,
            java_script_enabled=script,
        )
        context.set_default_timeout(15_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        return page

    def forgive(self, status: int) -> None:
        """The browser itself noted that an answer had this status, as it should have."""
        (noted,) = self.problems
        assert f"status of {status}" in noted
        self.problems.clear()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(message.text)


@pytest.fixture
def reader(browser: Browser, platform: Platform) -> Iterator[Reader]:
    """Its pages fail the test when a console reports an error. They are closed before the platform is."""
    made = Reader(browser, [], [])
    yield made
    for context in made.contexts:
        context.close()
    assert made.problems == []


@pytest.fixture
def page(reader: Reader, site: Site) -> Page:
    """A page of the whole site."""
    return reader.open()


def sign_in(page: Page, site: Shop, name: str, path: str | None = "/accounts/login/") -> None:
    """Sign in through the form: at ``path``, or where the page is already."""
    if path is not None:
        page.goto(site.url + path)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
