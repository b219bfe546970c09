"""Embedded servers for tests: a PostgreSQL and a Valkey of one's own, to stop, kill and freeze at will.

with embedded_servers() as servers:
    connect(servers.database_url)
    servers.postgres.restart(mode="immediate")
    servers.valkey.stop(); servers.valkey.start()      # on the same port
    servers.valkey.freeze(); servers.valkey.thaw()
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from project.stack.credentials import Credentials, load_credentials
from project.stack.guard import Guard
from project.stack.placement import Placement, place_servers, remove_state
from project.stack.postgres import PostgresServer
from project.stack.runs import Run, end_earlier_runs
from project.stack.state import StateDir
from project.stack.valkey import ValkeyServer


@dataclass(frozen=True)
class EmbeddedServers:
    """A running PostgreSQL and a running Valkey."""

    postgres: PostgresServer
    valkey: ValkeyServer

    @property
    def database_url(self) -> str:
        """Address of the database for `DATABASE_URL`."""
        return self.postgres.url

    @property
    def broker_url(self) -> str:
        """Address of the broker for `BROKER_URL`."""
        return self.valkey.url


@contextmanager
def embedded_servers(state_dir: Path | None = None, *, durable: bool = False) -> Iterator[EmbeddedServers]:
    """Start both servers and stop them at the end, also when this process is killed.

    `state_dir`: where data are kept and found again; default: a temporary directory, removed at the end.
    `durable`: whether data must survive a power cut; without it they survive any killing, and all is quicker.
    Raises StackError when a server does not start or another stack holds `state_dir`.
    """
    with ExitStack() as cleanup:
        state = StateDir.open(state_dir or Path(tempfile.mkdtemp(prefix="todoke-")))
        if state_dir is None:
            cleanup.callback(remove_state, state.path)
        cleanup.enter_context(state.lock())
        end_earlier_runs(state.path)
        run = Run.new(state.path)
        cleanup.enter_context(Guard(run))
        servers = make_servers(state, place_servers(state), load_credentials(state), run, durable=durable)
        for server in (servers.postgres, servers.valkey):
            cleanup.callback(server.stop)
            server.start()
        yield servers


def make_servers(
    state: StateDir, placement: Placement, credentials: Credentials, run: Run, *, durable: bool = True
) -> EmbeddedServers:
    """Return both servers of `state`, not started."""
    return EmbeddedServers(
        PostgresServer(
            placement,
            credentials["TODOKE_POSTGRES_PASSWORD"],
            log=state.log("postgres"),
            run=run,
            durable=durable,
        ),
        ValkeyServer(
            placement,
            credentials["TODOKE_VALKEY_PASSWORD"],
            log=state.log("valkey"),
            run=run,
            durable=durable,
        ),
    )
