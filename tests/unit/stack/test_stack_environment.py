"""What the environment says to the stack: ports and addresses, with help for those that cannot work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import environ
import pytest

from project.stack.credentials import load_credentials
from project.stack.environment import choose_ports, given_server, process_environment
from project.stack.errors import StackError
from project.stack.ports import FIRST, LAST, free_ports
from project.stack.reservations import Reservations
from project.stack.services import Ports
from project.stack.state import StateDir


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Reservations]:
    """Reservations of a stack that is starting."""
    with Reservations(tmp_path / "ports") as reservations:
        yield reservations


def test_a_taken_port_is_passed_over(taken: int, ours: Reservations) -> None:
    """The usual port when it is free, else the next one that is."""
    assert not ours.reserve(taken)
    assert ours.reserve_near(taken) > taken


def test_a_reserved_port_is_no_other_stacks(ours: Reservations, tmp_path: Path) -> None:
    """From the choice on, before anybody listens, other stacks pass the port over until it is given back."""
    port = ours.reserve_near(next(free_ports()))
    with Reservations(tmp_path / "ports") as theirs:
        assert not theirs.reserve(port)
        assert theirs.reserve_near(port) > port
        ours.__exit__(None, None, None)
        assert theirs.reserve(port)


def test_server_ports_are_out_of_the_clients_range() -> None:
    """Ports for servers come from a range from which no system gives ports to outgoing connections."""
    assert all(FIRST <= port <= LAST < 32_768 for port, _ in zip(free_ports(), range(50), strict=False))


def test_an_asked_port_is_taken_as_it_is(taken: int, ours: Reservations) -> None:
    """PORT is used when it is free, and refused when it is not: another would surprise."""
    free = next(free_ports())
    assert choose_ports(ours, {"PORT": str(free)}).web == free
    with pytest.raises(StackError, match=f"PORT={taken} cannot be used"):
        choose_ports(ours, {"PORT": str(taken)})


@pytest.mark.parametrize("value", ["eighty", "0", "65536", "-1", "8000.5", "²"])
def test_what_is_no_port_is_refused(value: str, ours: Reservations) -> None:
    """The message says what a port is."""
    with pytest.raises(StackError, match="is not a port: give a number from 1 to 65535"):
        choose_ports(ours, {"PORT": value})


def test_each_http_server_has_its_own_port(ours: Reservations) -> None:
    """Web, sandbox and Flower never share a port."""
    ports = choose_ports(ours, {})
    assert len({ports.web, ports.sandbox, ports.flower}) == 3


@pytest.mark.parametrize("value", ["", "  ", None])
def test_no_address_means_an_embedded_server(value: str | None) -> None:
    """A variable that is missing or empty replaces nothing."""
    environment = {} if value is None else {"DATABASE_URL": value}
    assert given_server("DATABASE_URL", environment) is None


def test_an_address_replaces_the_embedded_server() -> None:
    """A usable address is returned as it is."""
    for name, url in (("DATABASE_URL", "postgresql://u:p@db:5432/x"), ("BROKER_URL", "rediss://:p@b:6379/1")):
        assert given_server(name, {name: url}) == url


@pytest.mark.parametrize(
    ("name", "url", "message"),
    [
        ("DATABASE_URL", "sqlite:///db", "is not an address"),
        ("DATABASE_URL", "mysql://u@h/d", "Todoke needs PostgreSQL"),
        ("BROKER_URL", "localhost:6379", "is not an address"),
    ],
)
def test_an_address_that_cannot_work_is_refused(name: str, url: str, message: str) -> None:
    """The message names the variable and what is wanted; it does not repeat the address and its password."""
    with pytest.raises(StackError, match=message) as refusal:
        given_server(name, {name: url})
    assert name in str(refusal.value)
    assert url not in str(refusal.value)


def test_letters_are_files_in_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the settings read the variable: an absolute path, wherever the processes stand."""
    monkeypatch.delenv("EMAIL_URL", raising=False)
    state = StateDir.open(tmp_path / "state")
    variables = process_environment(state, load_credentials(state, {}), Ports(1, 2, 3), "", "")
    parsed = environ.Env.email_url_config(variables["EMAIL_URL"])
    assert parsed["EMAIL_FILE_PATH"] == str(state.file("mail"))
