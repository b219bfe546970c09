"""The application's registration."""

from __future__ import annotations

from django.apps import AppConfig


class BenchConfig(AppConfig):
    """Has no migrations: its table is made by ``migrate --run-syncdb``."""

    name = "tests.bench.app"
    label = "bench"
    default_auto_field = "django.db.models.BigAutoField"
