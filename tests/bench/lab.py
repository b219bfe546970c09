"""The laboratory: a PostgreSQL and a Valkey of its own, as durable as the stack starts them, and real processes."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import redis

from project.stack.servers import EmbeddedServers, embedded_servers
from tests.harness.processes import Process
from tests.harness.project import project_on

QUEUE = "bench"
STEPS = ("", "\x06\x163", "\x06\x166", "\x06\x169")
"""A queue's lists in the broker, one for each step of priority."""

ENVIRONMENT = {
    "OUTBOX_WAKE_UP": "",
    "OUTBOX_RESEND_AFTER": "3600",  # nobody consumes here what is sent: that is no reason to send it again
    "PYTHONWARNINGS": "ignore",
}

Say = Callable[[str], None]


@dataclass
class Lab:
    """Where the benchmarks work.

    Args:
        servers: the database and the broker; fsync is on.
        directory: for logs and other files; gone at the end.
        say: tells the person what goes on.
    """

    servers: EmbeddedServers
    directory: Path
    say: Say
    env: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    @property
    def broker(self) -> redis.Redis:
        """A connection to the broker."""
        return redis.Redis.from_url(self.servers.broker_url)

    def database(self, url: str = "") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of its own to the database, in autocommit. Close it."""
        return psycopg.connect(url or self.servers.database_url, autocommit=True)

    def start(self, name: str, *argv: str, **env: str) -> Process:
        """Start a process of the project."""
        process = Process(name, list(argv), env, self.directory)
        self.processes.append(process)
        return process

    def manage(self, *argv: str, **env: str) -> Process:
        """Start a management command."""
        return self.start(argv[0], sys.executable, "manage.py", *argv, **env)

    def worker(self, queues: str, *, concurrency: int = 1, **env: str) -> Process:
        """Start a Celery worker as the stack does. It is ready when this returns."""
        name = f"{queues.partition(',')[0]}-{secrets.token_hex(2)}"
        alone = ("--without-gossip", "--without-mingle", "--loglevel=INFO")
        argv = ("celery", "--quiet", "-A", "project", "worker", "-Q", queues, "-n", f"{name}@%h", *alone)
        return self.start(f"worker-{name}", *argv, "-c", str(concurrency), **env).wait_for("ready.")

    def beat(self, **env: str) -> Process:
        """Start Celery's beat."""
        schedule = str(self.directory / f"beat-{secrets.token_hex(3)}")
        return self.start("beat", "celery", "-A", "project", "beat", "-s", schedule, "--loglevel=INFO", **env)

    def trees(self, **roots: list[Process]) -> dict[str, list[int]]:
        """What a meter reads: the given processes, and both servers."""
        servers = {
            "postgres": [int(self.servers.postgres.pid or 0)],
            "valkey": [int(self.servers.valkey.pid or 0)],
        }
        return {name: [p.popen.pid for p in processes] for name, processes in roots.items()} | servers

    def queued(self, broker: redis.Redis) -> int:
        """Messages in the queue, asked for on a connection that is open already."""
        with broker.pipeline(transaction=False) as pipeline:
            for step in STEPS:
                pipeline.llen(QUEUE + step)
            return sum(pipeline.execute())

    def end(self, *processes: Process) -> None:
        """End processes, or all, in order."""
        for process in reversed(processes or tuple(self.processes)):
            process.stop()
            self.processes.remove(process)

    def kill(self) -> str:
        """End all processes at once, as after a failure; returns the last lines that each has printed."""
        tails = []
        for process in reversed(self.processes):
            process.kill()
            tails.append(f"--- {process.name}\n{process.output[-1500:]}")
        self.processes.clear()
        return "\n".join(tails)

    def empty(self) -> None:
        """No rows, nothing in the broker. Call it while nobody works."""
        with self.database() as connection:
            tables = connection.execute(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename ~ %s",
                [r"^(outbox_|orders_|saga_|bench_booking|django_celery_results_)"],
            ).fetchall()
            connection.execute(f"TRUNCATE {', '.join(name for (name,) in tables)} RESTART IDENTITY CASCADE")
        with self.broker as broker:
            broker.flushall()


@contextmanager
def open_lab(say: Say) -> Iterator[Lab]:
    """Servers, migrated database, Django set up for this process; all of it ends with the block."""
    say("starting PostgreSQL and Valkey")
    with embedded_servers(durable=True) as servers, TemporaryDirectory(prefix="todoke-bench-") as directory:
        say("migrating the database")
        with project_on(servers, "tests.bench.settings", **ENVIRONMENT):
            lab = Lab(servers, Path(directory), say)
            try:
                yield lab
            finally:
                lab.kill()
