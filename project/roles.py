"""The groups that ship with the console: Readers, who see, and Operators, who also act.

They are made after each migration, by a receiver of ``post_migrate``, and not by a migration: permissions do
not exist while migrations run (Django makes them afterwards, one application at a time), and a group that is
made here comes back also after the tables were flushed, and gets the permissions of later models.

What a group must have is added; what somebody added to it stays. Whoever wants less makes another group.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import DEFAULT_DB_ALIAS, router
from django.db.models.signals import post_migrate

SEEN = {
    "outbox": ("message", "attempt", "bulkoperation", "inboxmessage", "pause", "ratelimit"),
    "saga": ("saga", "sagastep", "sagatransition", "sagasignal", "sagapause"),
    "orders": (
        "apikey",
        "dailysales",
        "faultswitch",
        "order",
        "orderline",
        "payment",
        "product",
        "reservation",
        "shipment",
        "stock",
    ),
    "django_celery_results": ("groupresult", "taskresult"),
    "admin": ("logentry",),
}
"""Models that both groups may see, by application."""

OPERATED = {
    "outbox": ("add_message", "redrive_message", "discard_message", "send_message", "control_relay"),
    "saga": ("operate_saga",),
    "orders": ("change_faultswitch",),
}
"""What only operators may do, by application."""


def connect() -> None:
    """Have the groups made after each migration."""
    post_migrate.connect(grant, dispatch_uid="project.roles.grant")


def grant(
    app_config: AppConfig,
    using: str = DEFAULT_DB_ALIAS,
    apps: Apps = installed_apps,
    **_: Any,
) -> None:
    """Give both groups what they must have of one application, as soon as its permissions exist."""
    if app_config.label not in SEEN or not _has_groups(apps, using):
        return
    create_permissions(
        app_config, verbosity=0, using=using, apps=apps
    )  # Django's own receiver may come after this one
    seen = [f"view_{model}" for model in SEEN[app_config.label]]
    operated = OPERATED.get(app_config.label, ())
    _add(apps, using, "Readers", app_config.label, seen)
    _add(apps, using, "Operators", app_config.label, [*seen, *operated])


def _has_groups(apps: Apps, using: str) -> bool:
    """Whether this database keeps groups, in the state that was migrated to."""
    try:
        return router.allow_migrate_model(using, apps.get_model("auth", "Group"))
    except LookupError:
        return False


def _add(apps: Apps, using: str, name: str, app_label: str, codenames: list[str]) -> None:
    permissions = apps.get_model("auth", "Permission")._default_manager.using(using)
    group, _ = apps.get_model("auth", "Group")._default_manager.using(using).get_or_create(name=name)
    group.permissions.add(*permissions.filter(content_type__app_label=app_label, codename__in=codenames))
