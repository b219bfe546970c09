"""A real browser against the real stack, whose processes all tests of this folder share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AbstractUser
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from orders.sandbox.client import SandboxClient
from tests.harness.emptying import Emptying
from tests.harness.shared import SharedPlatform
from tests.harness.shop import customer, product

FOLDER = Path(__file__).parent
PASSWORD = "correct horse battery staple"
PATIENCE = 30_000  # milliseconds, on a busy machine
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First the tests with the whole site, then those with the web alone: so its workers are started but once."""
    places = [place for place, item in enumerate(items) if FOLDER in item.path.parents]
    ours = sorted((items[place] for place in places), key=lambda item: "site" not in _fixtures(item))
    for place, item in zip(places, ours, strict=True):
        items[place] = item


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, where it is installed; REQUIRE_BROWSER makes its absence an error."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("Chromium is required and was not found.")
        pytest.skip("There is no Chromium on this machine (on Debian: apt-get install chromium).")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright runs an event loop in this thread
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="package")
def processes(
    django_db_setup: Emptying, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedPlatform]:
    """What the tests share. They use ``house``."""
    made = SharedPlatform(tmp_path_factory.mktemp("browser"))
    yield made
    made.stop()


@pytest.fixture
def house(
    transactional_db: None, processes: SharedPlatform, django_db_setup: Emptying
) -> Iterator[SharedPlatform]:
    """The processes, behaving and with an empty database. A test that loses one fails."""
    processes.calm_sandbox()
    yield processes
    django_db_setup.empty_between_transactions()
    processes.check()


@pytest.fixture
def site(house: SharedPlatform, settings) -> Site:
    """Web, workers, beat and sandbox, with a customer, an operator and something to buy."""
    settings.SANDBOX_URL, settings.SANDBOX_TOKEN = house.env["SANDBOX_URL"], house.env["SANDBOX_TOKEN"]
    house.work()
    url = house.web()
    product("TEA", price="4.50")
    for user in (customer(), get_user_model().objects.create_superuser("olga", "olga@example.org")):
        give_password(user)
    return Site(url, house.outside)


@pytest.fixture
def shop_alone(house: SharedPlatform) -> Shop:
    """The web process alone, with a customer: what happens to orders is up to the test."""
    house.rest()
    give_password(customer())
    return Shop(house.web())


def give_password(user: AbstractUser) -> None:
    """Whoever it is signs in with ``PASSWORD``, which is hashed but once: that takes half a second on purpose."""
    user.password = hashed()
    user.save()


@cache
def hashed() -> str:
    """The password as the database keeps it."""
    return make_password(PASSWORD)


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
        context.set_default_timeout(PATIENCE)
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
def reader(browser: Browser, house: SharedPlatform) -> Iterator[Reader]:
    """Its pages fail the test when a console reports an error. They are closed before the database is emptied."""
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
