"""The embedded PostgreSQL and Valkey: real servers that are stopped, killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from project.stack.errors import AlreadyRunningError, StackError
from project.stack.ports import free_ports
from project.stack.servers import EmbeddedServers, embedded_servers
from tests.integration.stack.programs import Program, await_true, is_running

SSL_REQUEST = 80_877_103  # the message with which a client of PostgreSQL may begin
HOLDER = Path(__file__).with_name("hold_servers.py")


@pytest.fixture(scope="module")
def servers() -> Iterator[EmbeddedServers]:
    """Servers that the tests of this module share; each test leaves them running."""
    with embedded_servers() as started:
        yield started


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement in its own connection and return its rows, if any."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def store(url: str) -> redis.Redis:
    """Return a client of the broker that reconnects once, as after a restart."""
    return redis.Redis.from_url(url, socket_timeout=0.5, retry=Retry(NoBackoff(), retries=1))


def test_the_database_speaks_utf8_with_a_builtin_locale(servers: EmbeddedServers) -> None:
    """PostgreSQL 18, sorting the same on every machine: the builtin C.UTF-8 locale."""
    rows = query(
        servers.database_url,
        "SELECT current_setting('server_version_num')::int / 10000, datlocprovider, datlocale,"
        " pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()",
    )
    assert rows == [(18, "b", "C.UTF-8", "UTF8")]


def test_the_database_wants_the_password(servers: EmbeddedServers) -> None:
    """Without the password, or with another, nobody gets in."""
    address, user = servers.database_url.rpartition("@")[2], "postgres://todoke"
    for url in (f"{user}@{address}", f"{user}:guess@{address}"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            query(url, "SELECT 1")


def test_the_broker_wants_the_password(servers: EmbeddedServers) -> None:
    """Without the password, or with another, nobody gets in."""
    address = servers.broker_url.rpartition("@")[2]
    for url in (f"redis://{address}", f"redis://:guess@{address}"):
        with store(url) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_servers_listen_on_loopback_only(servers: EmbeddedServers) -> None:
    """Both servers have one door, on 127.0.0.1: no other address, no socket in the file system."""
    for server in (servers.postgres, servers.valkey):
        connections = psutil.Process(server.pid).net_connections("all")
        listening = [
            c.laddr for c in connections if c.status == psutil.CONN_LISTEN or c.family == socket.AF_UNIX
        ]
        assert [tuple(address) for address in listening if address] == [("127.0.0.1", server.port)]


def test_no_secret_on_the_command_line(servers: EmbeddedServers) -> None:
    """`ps` shows no password."""
    for server, url in ((servers.postgres, servers.database_url), (servers.valkey, servers.broker_url)):
        password = url.split(":")[2].rpartition("@")[0]
        assert password
        assert not any(password in part for part in psutil.Process(server.pid).cmdline())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
def test_root_gives_its_privileges_up(servers: EmbeddedServers) -> None:
    """Started by root, both servers run as another user, without root's groups."""
    for server in (servers.postgres, servers.valkey):
        process = psutil.Process(server.pid)
        assert 0 not in {*process.uids(), *process.gids()}
        groups = Path(f"/proc/{server.pid}/status").read_text().partition("Groups:")[2].splitlines()[0]
        assert groups.split() == []


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_commits_survive_a_restart_of_the_database(servers: EmbeddedServers, mode: str) -> None:
    """After an orderly and after an immediate stop: same address, same committed rows, another process."""
    table = f"kept_{mode}"
    query(servers.database_url, f"CREATE TABLE {table} AS SELECT 1 AS n")
    url, pid = servers.database_url, servers.postgres.pid
    servers.postgres.restart(mode=mode)  # type: ignore[arg-type]
    assert query(url, f"SELECT n FROM {table}") == [(1,)]
    assert servers.postgres.pid != pid


def test_commits_survive_the_killing_of_the_database(servers: EmbeddedServers) -> None:
    """SIGKILL of all of PostgreSQL's processes: it comes back where it was, with all that was committed."""
    query(servers.database_url, "CREATE TABLE kept_kill AS SELECT 1 AS n")
    servers.postgres.kill()
    assert not servers.postgres.alive
    servers.postgres.start()
    assert query(servers.database_url, "SELECT n FROM kept_kill") == [(1,)]


def test_a_killed_postmaster_with_living_children_is_replaced(servers: EmbeddedServers) -> None:
    """When only the main process is killed, the next start ends its children before using their data."""
    backends = psutil.Process(servers.postgres.pid).children()
    for backend in backends:
        backend.suspend()  # so that none notices the death and ends by itself
    os.kill(servers.postgres.pid or 0, signal.SIGKILL)
    servers.postgres.wait()
    servers.postgres.start()
    assert backends
    assert not {process.pid for process in backends if is_running(process)}
    assert query(servers.database_url, "SELECT 1") == [(1,)]


def test_a_stale_pid_file_with_a_living_number_is_ignored(servers: EmbeddedServers) -> None:
    """A dead server's note, its number now another process's, does not keep the server from starting."""
    note = servers.postgres._data / "postmaster.pid"
    text = note.read_text()
    servers.postgres.kill()
    with note.open("w") as handle:
        handle.write(text.replace(text.splitlines()[0], str(os.getpid()), 1))
    servers.postgres.start()
    assert query(servers.database_url, "SELECT 1") == [(1,)]


def test_the_broker_keeps_its_data(servers: EmbeddedServers) -> None:
    """Stopped in order or killed, the broker comes back at the same address with what it had acknowledged."""
    with store(servers.broker_url) as client:
        client.rpush("queue", "stopped")
        servers.valkey.restart()
        client.rpush("queue", "killed")
        servers.valkey.kill()
        servers.valkey.start()
        assert client.lrange("queue", 0, -1) == [b"stopped", b"killed"]


def test_a_stopped_broker_refuses_connections(servers: EmbeddedServers) -> None:
    """Between `stop` and `start` nothing listens at the broker's address."""
    servers.valkey.stop()
    assert servers.valkey.pid is None
    with store(servers.broker_url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    servers.valkey.start()


def test_a_frozen_server_keeps_quiet_until_thawed(servers: EmbeddedServers) -> None:
    """Frozen: connections are accepted by the system, but never answered. Thawed: all goes on."""
    for server in (servers.valkey, servers.postgres):
        server.freeze()
    with store(servers.broker_url) as client, pytest.raises(redis.TimeoutError):
        client.ping()
    with socket.create_connection(("127.0.0.1", servers.postgres.port or 0), timeout=0.3) as connection:
        connection.sendall(struct.pack("!ii", 8, SSL_REQUEST))
        with pytest.raises(TimeoutError):
            connection.recv(1)
    for server in (servers.valkey, servers.postgres):
        server.thaw()
    assert query(servers.database_url, "SELECT 1") == [(1,)]
    with store(servers.broker_url) as client:
        assert client.ping()


def test_a_frozen_server_can_be_stopped(servers: EmbeddedServers) -> None:
    """`stop` wakes a frozen server so that it stops in order."""
    for server in (servers.valkey, servers.postgres):
        server.freeze()
        server.stop()
        assert not server.alive
        server.start()


def test_a_taken_port_is_not_the_end(
    servers: EmbeddedServers, monkeypatch: pytest.MonkeyPatch, open_state: Path
) -> None:
    """When another process takes the chosen port first, the server starts on the next one."""
    taken = servers.postgres.port or 0
    monkeypatch.setattr("project.stack.embedded.free_ports", lambda: iter([taken, next(free_ports())]))
    with embedded_servers(open_state) as others:
        assert others.postgres.port != taken
        assert query(others.database_url, "SELECT 1") == [(1,)]


def test_data_are_found_again_and_a_lost_password_is_replaced(open_state: Path) -> None:
    """A later run on the directory has the same data, also when secrets were lost. A second is refused."""
    with embedded_servers(open_state) as first:
        query(first.database_url, "CREATE TABLE kept AS SELECT 1 AS n")
        old = first.database_url
        with store(first.broker_url) as client:
            client.set("kept", 1)
    (open_state / "secrets.json").unlink()
    with embedded_servers(open_state) as second:
        with pytest.raises(AlreadyRunningError), embedded_servers(open_state):
            pass
        assert query(second.database_url, "SELECT n FROM kept") == [(1,)]
        assert second.database_url.split(":")[2] != old.split(":")[2]
        with store(second.broker_url) as client:
            assert client.get("kept") == b"1"


def test_a_failed_start_shows_the_log(open_state: Path) -> None:
    """When a server does not start, the message has the end of its log: the reason."""
    with embedded_servers(open_state) as first:
        configuration = first.postgres._data / "postgresql.conf"
    with configuration.open("a") as handle:
        handle.write("no_such_setting = 1\n")
    with pytest.raises(StackError, match="no_such_setting"), embedded_servers(open_state):
        pass


def test_killing_the_owner_stops_the_servers(start: Callable[..., Program], open_state: Path) -> None:
    """When the process that started the servers is killed, they stop in order by themselves."""
    program = start(HOLDER, str(open_state))
    program.await_line("READY")
    owned = [psutil.Process(int(pid)) for pid in program.lines[-1].split()[1:]]
    program.signal(signal.SIGKILL)
    program.process.wait()
    await_true(lambda: not any(map(is_running, owned)), "servers outlived their owner")
    assert "database system is shut down" in (open_state / "logs" / "postgres.log").read_text()
