"""The project as a Django application: it carries the commands that need both layers."""

from __future__ import annotations

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Loads the Celery application first, so that every process registers its tasks with it."""

    name = "project"

    def ready(self) -> None:
        import project.celery
        import project.checks  # noqa: F401
        from project import roles

        roles.connect()
