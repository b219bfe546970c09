"""The project, set up in this process on servers of its own: for what runs outside pytest."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from project.stack.servers import EmbeddedServers


@contextmanager
def project_on(servers: EmbeddedServers, settings: str = "project.settings", **env: str) -> Iterator[None]:
    """The environment for this process and its children, Django set up, the database migrated.

    As in production: without DEBUG, which keeps every statement in memory. This process's connections are closed at the
    end; its environment stays.

    Args:
        servers: the database and the broker.
        settings: the module of Django's settings.
        env: further variables, or other values.
    """
    os.environ.update(
        DJANGO_SETTINGS_MODULE=settings,
        DATABASE_URL=servers.database_url,
        BROKER_URL=servers.broker_url,
        DEBUG="0",
        HTTPS="0",
        SECRET_KEY=secrets.token_urlsafe(64),
        SANDBOX_URL="http://127.0.0.1:9",  # nobody listens there: who needs the sandbox starts one
        SANDBOX_TOKEN="none",
        FLOWER_URL="",
        EMAIL_URL="dummymail://",
    )
    os.environ.update(env)
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0, skip_checks=True)
    connections.close_all()
    try:
        yield
    finally:
        connections.close_all()
