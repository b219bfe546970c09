"""The web application, served by granian."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = get_asgi_application()

if "thread" in settings.OUTBOX["WAKE_UP"]:
    from outbox.relay.thread import relay_thread  # not before Django is set up

    relay_thread()  # from the start: what others committed is sent, too
