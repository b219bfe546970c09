"""Empties the test database between tests: quicker than Django's flush, and just as thoroughly.

Django truncates every table after a transactional test, and then makes content types, permissions and groups
anew. Here only tables that hold something are emptied, and what migrations made stays where it is: unless a test
has changed it. Then Django's own flush makes it anew.
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from psycopg.errors import LockNotAvailable

from tests.harness.waiting import wait_until

MADE_BY_MIGRATING = ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions")
SMALL = 128 * 1024
"""Bytes. Up to there a table is emptied row by row, which is quicker than new files for it and its indexes."""


class Emptying:
    """Takes the place of the flush after tests in one database, which has just been migrated.

    Args:
        alias: of the database in Django's settings. PostgreSQL, and a superuser, who may pass over foreign keys.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        tables = self._connection.introspection.django_table_names(only_existing=True, include_views=False)
        self._tables = sorted({*tables} - {*MADE_BY_MIGRATING})
        self._made = self._what_migrating_made()

    def install(self) -> None:
        """Have it done after each transactional test from now on."""
        flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

        def teardown(case: Any) -> None:
            if {*case._databases_names(include_mirrors=False)} == {self.alias}:
                self.empty()
            else:
                flush(case)

        TransactionTestCase._fixture_teardown = teardown  # type: ignore[attr-defined]

    def empty(self) -> None:
        """Leave the database as it was after migrating. Sequences go on where they are."""
        if self._what_migrating_made() != self._made:
            call_command("flush", verbosity=0, interactive=False, database=self.alias, reset_sequences=False)
            self._made = self._what_migrating_made()
        else:
            self._empty_tables()

    def empty_between_transactions(self) -> None:
        """The same, where processes stay that use the database: none of them is in the middle of a transaction then,
        whose rest would be found by the next test."""
        wait_until(self._is_emptied, "every transaction to end")

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]

    def _is_emptied(self) -> bool:
        """Not while others hold a lock: who holds all of them and waits for none is in no deadlock."""
        try:
            with transaction.atomic(self.alias), self._connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {', '.join(self._tables)} IN ACCESS EXCLUSIVE MODE NOWAIT")
                self.empty()
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                return False
            raise
        return True

    def _empty_tables(self) -> None:
        """Large tables, and those with statistics, get new files: the next test finds neither dead rows nor
        guesses that come from this one."""
        looks = (
            f"SELECT '\"{table}\"', pg_relation_size(oid) > {SMALL} OR reltuples >= 0 FROM pg_class"
            f' WHERE oid = \'"{table}"\'::regclass AND EXISTS (SELECT FROM "{table}")'
            for table in self._tables
        )
        with transaction.atomic(self.alias), self._connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(looks))
            found = cursor.fetchall()
            truncated = [table for table, anew in found if anew]
            deleted = [f"DELETE FROM {table};" for table, anew in found if not anew]
            if truncated:
                cursor.execute(f"TRUNCATE {', '.join(truncated)} CASCADE")
            if deleted:
                cursor.execute(f"SET LOCAL session_replication_role = replica; {' '.join(deleted)}")

    def _what_migrating_made(self) -> list[tuple[str, str]]:
        """A fingerprint of each table's rows."""
        prints = (
            f"SELECT '{table}', md5(coalesce(string_agg(t::text, ',' ORDER BY id), '')) FROM {table} t"
            for table in MADE_BY_MIGRATING
        )
        with self._connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(prints))
            return sorted(cursor.fetchall())
