"""The unprivileged account that runs the embedded servers when the stack is started by root."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.stack.errors import StackError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user of this machine: `name`, numeric `uid` and `gid`."""

    name: str
    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Return the arguments for `subprocess` that start a process as this user, with no other groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, directory: Path) -> bool:
        """Say whether this user can enter `directory`: tried for real, so that ACLs and mounts count too."""
        shell = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)]
        try:
            return (
                subprocess.run(shell, cwd="/", capture_output=True, check=False, **self.options()).returncode
                == 0
            )
        except OSError as error:
            raise StackError(
                f"root cannot start a process as {self.name} here ({error}), and PostgreSQL refuses to run "
                "as root. Start the stack as an ordinary user, or set DATABASE_URL and BROKER_URL to servers "
                "of your own."
            ) from error


def unprivileged_account(data: Path) -> Account | None:
    """Return who is to run the servers whose files are (or will be) in `data`; None means this very user.

    The owner of existing data is kept; new data go to `postgres` or else `nobody`.
    Raises StackError when this user is root and the machine has none of them.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return _account(pwd.getpwuid(data.stat().st_uid))
    for name in CANDIDATES:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise StackError(
        f"root needs one of the users {', '.join(CANDIDATES)} to run PostgreSQL. "
        "Create one, or do not run as root."
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
