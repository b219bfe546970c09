"""People who use the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from orders.sandbox.client import SandboxClient
from orders.sandbox.testing import SandboxServer

As = Callable[[User], Client]


@pytest.fixture
def superuser(db: None) -> User:
    """Who may do everything."""
    return User.objects.create_superuser("root")


@pytest.fixture
def operator(db: None) -> User:
    """A member of Operators."""
    return _member("olga", "Operators")


@pytest.fixture
def reader(db: None) -> User:
    """A member of Readers."""
    return _member("rita", "Readers")


@pytest.fixture
def reader_with(reader: User) -> Callable[..., User]:
    """A reader with further permissions, such as ``outbox.redrive_message``."""

    def grant(*names: str) -> User:
        for name in names:
            app, codename = name.split(".")
            reader.user_permissions.add(
                Permission.objects.get(content_type__app_label=app, codename=codename)
            )
        return User.objects.get(pk=reader.pk)

    return grant


@pytest.fixture
def as_() -> As:
    """A browser in which somebody is signed in."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A sandbox."""
    started = SandboxServer(tmp_path_factory.mktemp("sandbox"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def sandbox(server: SandboxServer, settings) -> Iterator[SandboxClient]:
    """The sandbox that the shop talks to, all well."""
    settings.SANDBOX_URL, settings.SANDBOX_TOKEN = server.url, server.token
    with SandboxClient(server.url, server.token) as client:
        client.reset_faults()
        yield client


def _member(name: str, group: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user
