"""How PostgreSQL is to keep the outbox's tables. Written by hand; other databases have nothing of the kind.

What the options are for, and what was measured, is said in ``outbox/storage.py``. A change of them needs a migration of its
own: this one stays as it is.
"""

from __future__ import annotations

from django.db import migrations

OPTIONS = {
    "outbox_message": (
        "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000, "
        "autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.01, "
        "autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_limit = 2000, vacuum_truncate = false"
    ),
    "outbox_attempt": "autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02",
}


def set_options(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, options in OPTIONS.items():
            schema_editor.execute(f"ALTER TABLE {table} SET ({options})")


def reset_options(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, options in OPTIONS.items():
            names = ", ".join(option.split("=")[0].strip() for option in options.split(","))
            schema_editor.execute(f"ALTER TABLE {table} RESET ({names})")


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]

    operations = [migrations.RunPython(set_options, reset_options)]
