"""The project's settings, plus an application with what the benchmarks publish and run."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import CELERY_TASK_ROUTES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.app"]
ROOT_URLCONF = "tests.bench.app.urls"
CELERY_TASK_ROUTES = {**CELERY_TASK_ROUTES, "bench.*": {"queue": "bench"}}
