"""The container files: what runs there is what runs here, confined, with secrets from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from project.stack.service import Service
from project.stack.services import Ports, stages
from project.stack.state import StateDir
from tests.harness.processes import ROOT, Platform
from tests.harness.waiting import wait_until

HEALTHCHECK = ROOT / "deploy" / "healthcheck.py"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NEIGHBOURS = {"postgres", "valkey"}
OURS = sorted(set(SERVICES) - NEIGHBOURS)
ONCE = {"migrate", "seed"}
PLACES = re.compile(r"--(host|port|address|db|schedule)(=|$)")
SECRET = re.compile("SECRET|PASSWORD|TOKEN|KEY|AUTH|_URL$")
PUBLIC_URLS = {"SANDBOX_URL", "FLOWER_URL", "EMAIL_URL"}


@pytest.fixture
def stack_services(tmp_path: Path) -> dict[str, Service]:
    """What the embedded stack runs, by name."""
    ports = Ports(web=8000, sandbox=8100, flower=5555)
    found = {s.name: s for stage in stages(StateDir.open(tmp_path / "state"), ports, {}) for s in stage}
    del found["database"]  # containers have health checks for that
    return found


def essence(argv: list[str]) -> list[str]:
    """A command without what may differ from place to place: the interpreter's path, addresses, files."""
    kept: list[str] = []
    skip = False
    for part in [Path(argv[0]).name.rstrip("0123456789."), *argv[1:]]:
        place = None if skip else PLACES.match(part)
        if not (skip or place):
            kept.append(part)
        skip = place is not None and not place[2]
    return kept


def test_the_commands_are_those_of_the_stack(stack_services: dict[str, Service]) -> None:
    """Each container runs the command that the embedded stack runs, except for addresses and files."""
    theirs = {name: essence(SERVICES[name]["command"]) for name in OURS if name != "relay"}
    assert theirs == {name: essence([str(p) for p in s.argv]) for name, s in stack_services.items()}


def test_background_work_gives_way(stack_services: dict[str, Service]) -> None:
    """What the embedded stack starts with a low priority, and the relay, have a smaller share of the processor here."""
    behind = {name for name in SERVICES if "cpu_shares" in SERVICES[name]}
    assert behind == {name for name, service in stack_services.items() if service.background} | {"relay"}
    assert all(SERVICES[name]["cpu_shares"] < 1024 for name in behind)


def test_the_image_serves_the_shop_by_default() -> None:
    """The image's own command is that of `web`."""
    [command] = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    assert json.loads(command) == SERVICES["web"]["command"]


def test_the_relay_runs_and_its_health_is_seen(platform: Platform) -> None:
    """The one command that the embedded stack has not runs; its check fails before and passes meanwhile."""
    check = [sys.executable, str(HEALTHCHECK), "relay"]
    environment = os.environ | platform.env

    def healthy() -> bool:
        return subprocess.run(check, env=environment, check=False, capture_output=True).returncode == 0

    assert not healthy()
    relay = platform.start("relay", *SERVICES["relay"]["command"])
    relay.wait_for("The relay is running")
    wait_until(healthy, "the relay to listen")
    assert relay.stop() == 0


def test_secrets_come_from_the_environment() -> None:
    """Every variable that holds a secret is required from outside; none has a default or a value here."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and variable not in PUBLIC_URLS:
                assert re.search(r"\$\{[A-Z_]+:\?.+\}", value), f"{name}: {variable}"


def test_every_secret_of_the_stack_is_asked_for() -> None:
    """What the embedded stack generates must be given here, except the servers' own, which have other names."""
    from project.stack.credentials import GENERATORS

    given = {variable for service in SERVICES.values() for variable in service.get("environment", {})}
    assert {n for n in GENERATORS if not n.startswith(("TODOKE_POSTGRES", "TODOKE_VALKEY"))} <= given


def test_the_sandbox_gets_only_its_own_secret() -> None:
    """The stand-in for the outside world can reach neither the database nor the broker."""
    assert set(SERVICES["sandbox"]["environment"]) == {"SANDBOX_DB", "SANDBOX_TOKEN"}


def test_whatever_goes_on_running_has_a_health_check() -> None:
    """Servers and processes restart and are checked; what runs once does neither."""
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) == ("restart" in service) == (name not in ONCE), name


def test_everything_waits_for_a_condition() -> None:
    """Nobody waits for a mere start: for the health of what goes on running, for the success of what runs once."""
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert wait["condition"] == expected, f"{name} → {other}"


@pytest.mark.parametrize("name", ["worker", "dispatch", "relay"])
def test_workers_scale(name: str) -> None:
    """`--scale worker=N` works: no fixed name, no port of the host, no volume that two would share."""
    assert not {"container_name", "ports", "volumes", "hostname"} & set(SERVICES[name])


def test_ports_are_published_on_this_machine_only() -> None:
    """Nothing is open to the network before somebody decides so."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_processes_are_confined(name: str) -> None:
    """One image, an ordinary user, nothing to write to but volumes and /tmp, no way to more rights."""
    service = SERVICES[name]
    assert service["image"] == SERVICES["migrate"]["image"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_what_is_kept_is_in_named_volumes() -> None:
    """Every mount is a volume that the file declares, and every file that a command names is in one."""
    for name, service in SERVICES.items():
        mounts = [volume.partition(":") for volume in service.get("volumes", [])]
        assert all(volume in COMPOSE["volumes"] for volume, _, _ in mounts), name
        targets = tuple(f"{target}/" for _, _, target in mounts)
        files = re.findall(r"/(?:var|data)\S*/[\w.-]+", " ".join(service.get("command", [])))
        assert all(file.startswith(targets) for file in files), name


def test_the_image_leaves_the_embedded_servers_out() -> None:
    """The pattern in the Dockerfile still matches the packages that it is there for."""
    [pattern] = re.findall(r"grep -vE '([^']+)'", DOCKERFILE)
    requirements = (ROOT / "requirements.txt").read_text().splitlines()
    assert len([line for line in requirements if re.match(pattern, line)]) == 2


def test_health_checks_tell_the_difference(tmp_path: Path) -> None:
    """A dead address, a missing and a stale file are unhealthy, and the reason is said; a fresh file is healthy."""

    def check(*arguments: object) -> tuple[int, str]:
        command = [sys.executable, str(HEALTHCHECK), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    schedule = tmp_path / "beat-schedule"
    assert check("http", "http://127.0.0.1:9/healthz")[0] == 1
    assert check("written", schedule, 10) == (1, f"{schedule} is not there\n")
    schedule.with_suffix(".db").touch()
    assert check("written", schedule, 10) == (0, "")
    os.utime(schedule.with_suffix(".db"), (0, 0))
    code, reason = check("written", schedule, 10)
    assert code == 1
    assert "minutes ago" in reason
