"""The state directory: everything the embedded stack keeps between two starts, in one private place.

Not guaranteed: the lock is advisory (`flock`) and per machine; a state directory on a network share that two
machines use at once is not protected.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.stack.errors import AlreadyRunningError, StackError

PROJECT = Path(__file__).resolve().parents[2]
VARIABLE = "TODOKE_HOME"
LOCK = "lock"


def state_path(path: Path | None = None) -> Path:
    """Return the state directory's absolute path: `path`, else `$TODOKE_HOME`, else `<project>/.todoke`."""
    chosen = path or Path(os.environ.get(VARIABLE) or PROJECT / ".todoke")
    return chosen.expanduser().absolute()


class StateDir:
    """An existing, private directory with the stack's files.

    Made through `StateDir.open`. Files are written by this user with mode 0600; the directory itself has mode
    0700, or 0710 after `admit` let the group of the embedded servers' account pass through.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path | None = None) -> StateDir:
        """Create the directory where it is missing, check that it is ours, and return it.

        Raises StackError when it cannot be made, belongs to another user, or is somebody's full directory.
        """
        directory = state_path(path)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_foreign(directory)
            directory.chmod(stat.S_IMODE(directory.stat().st_mode) & 0o710 | 0o700)
            (directory / LOCK).touch(mode=0o600)
            (directory / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"cannot use {directory} as state directory: {error}. Set {VARIABLE} to another one."
            ) from error
        return cls(directory)

    def file(self, name: str) -> Path:
        """Return the path of the file `name` in the directory (which need not exist)."""
        return self.path / name

    def log(self, name: str) -> Path:
        """Return the path of the log file of the process `name`."""
        return self.path / "logs" / f"{name}.log"

    def admit(self, group: int) -> None:
        """Let the members of `group` (a gid) pass through the directory, without listing or writing it."""
        os.chown(self.path, -1, group)
        self.path.chmod(0o710)

    def write(self, name: str, text: str) -> None:
        """Replace the file `name` by `text` in one step, readable by this user only."""
        write_private(self.file(name), text)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one stack. Raises AlreadyRunningError when another process holds it."""
        with self.file(LOCK).open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(f"another stack is using {self.path}") from None
            yield


def write_private(path: Path, text: str, owner: tuple[int, int] | None = None) -> None:
    """Replace the file at `path` by `text` in one step, mode 0600, for `owner` (uid, gid; default: us)."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        if owner is not None:
            os.fchown(descriptor, *owner)
        handle.write(text)
    draft.replace(path)


def _refuse_foreign(directory: Path) -> None:
    owner = directory.stat().st_uid
    if owner != os.geteuid():
        raise StackError(
            f"{directory} belongs to another user (uid {owner}). Run as that user, or set {VARIABLE} to a "
            "directory of yours."
        )
    if not (directory / LOCK).exists() and any(directory.iterdir()):
        raise StackError(
            f"{directory} has files that are not the stack's. Set {VARIABLE} to a new or an empty directory."
        )
