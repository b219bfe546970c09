"""The smallest project around the outbox alone, on the database that ``PORTABILITY_DATABASE`` describes (JSON)."""

from __future__ import annotations

import json
import os

DATABASES = {"default": json.loads(os.environ["PORTABILITY_DATABASE"])}
if DATABASES["default"]["ENGINE"].endswith("mysql"):
    import pymysql

    pymysql.install_as_MySQLdb()

SECRET_KEY = "portability"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "outbox",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ROOT_URLCONF = "tests.portability.urls"
CELERY_BROKER_URL = "memory://"
OUTBOX: dict[str, object] = {"WAKE_UP": ()}
SILENCED_SYSTEM_CHECKS = ["models.W036", "models.W037"]  # partial indexes that MariaDB leaves out
