"""The smallest project on django-celery-outbox, set for speed: no metrics, no log lines below a warning."""

from __future__ import annotations

import logging
import os
from urllib.parse import unquote, urlsplit

import structlog

_address = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _address.hostname,
        "PORT": _address.port,
        "USER": _address.username,
        "PASSWORD": unquote(_address.password or ""),
        "NAME": _address.path.lstrip("/"),
        "CONN_MAX_AGE": None,
    }
}
SECRET_KEY = os.environ["SECRET_KEY"]
INSTALLED_APPS = ["django_celery_outbox", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
CELERY_OUTBOX_APP = "shop.celery.app"
CELERY_OUTBOX_STRUCTLOG_ENABLED = False
MONITORING_METRICS_ENABLED = False

structlog.configure(
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING), cache_logger_on_first_use=True
)
