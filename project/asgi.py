"""The web application, served by granian."""

from __future__ import annotations

import gc
import os

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

from project.handler import ThreadedHandler  # noqa: E402  (needs Django set up)

application = ThreadedHandler(settings.WEB_THREADS)

if "thread" in settings.OUTBOX["WAKE_UP"]:
    from outbox.relay.thread import relay_thread  # not before Django is set up

    relay_thread()  # from the start: what others committed is sent, too

gc.collect()
gc.freeze()  # what is loaded stays: looking for garbage among it would hold up requests for a tenth of a second
