"""The list of processes."""

from __future__ import annotations

from pathlib import Path

from project.stack.credentials import load_credentials
from project.stack.environment import account_passwords, process_environment
from project.stack.service import Service
from project.stack.services import Ports, stages
from project.stack.state import StateDir

PORTS = Ports(web=1, sandbox=2, flower=3)


def services(state: StateDir) -> list[Service]:
    credentials = load_credentials(state, {})
    return [service for stage in stages(state, PORTS, account_passwords(credentials)) for service in stage]


def test_every_name_is_said_once(tmp_path: Path) -> None:
    """All of Todoke's processes are there, each with its own name."""
    names = [service.name for service in services(StateDir.open(tmp_path / "s"))]
    assert names == ["database", "migrate", "seed", "sandbox", "web", "worker", "dispatch", "beat", "flower"]


def test_no_secret_is_on_a_command_line(tmp_path: Path) -> None:
    """`ps` shows no secret of any process."""
    state = StateDir.open(tmp_path / "s")
    secrets = set(load_credentials(state, {}).values.values())
    assert not any(
        secret in part for service in services(state) for part in service.argv for secret in secrets
    )


def test_only_seed_gets_the_accounts_passwords(tmp_path: Path) -> None:
    """The passwords of people are given to the process that creates the accounts, and to no other."""
    state = StateDir.open(tmp_path / "s")
    credentials = load_credentials(state, {})
    everybody = process_environment(state, credentials, PORTS, "postgres://", "redis://")
    passwords = set(account_passwords(credentials).values())
    assert not passwords & set(everybody.values())
    with_passwords = [s.name for s in services(state) if passwords & set(s.env.values())]
    assert with_passwords == ["seed"]


def test_every_queue_has_a_worker(tmp_path: Path) -> None:
    """Between them, the workers serve each queue once."""
    queues = [
        queue
        for service in services(StateDir.open(tmp_path / "s"))
        if "-Q" in service.argv
        for queue in service.argv[service.argv.index("-Q") + 1].split(",")
    ]
    assert sorted(queues) == ["default", "inventory", "outbox", "payment", "shipping"]
