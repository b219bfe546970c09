"""Health checks for containers: exit code 0 when healthy, 1 and a line when not.

    python deploy/healthcheck.py http URL               it answers with a success
    python deploy/healthcheck.py written FILE MINUTES   FILE was written in the last MINUTES (beat's schedule)
    python deploy/healthcheck.py relay                  a relay of this container listens to the database

It imports nothing of the project, so that a check costs little. Not guaranteed: that work gets done; the audit
tells that.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

TIMEOUT = 4  # seconds for an answer
LISTENING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE query = 'LISTEN outbox' AND client_addr IS NOT DISTINCT FROM inet_client_addr()"
)


def http(url: str) -> str:
    """Return why the address counts as unhealthy, or nothing."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=TIMEOUT).close()
    except OSError as error:
        return f"{url}: {error}"
    return ""


def written(file: str, minutes: str) -> str:
    """Return why the file counts as stale, or nothing.

    What counts is the newest file whose name begins so: the kinds of dbm add different endings.
    """
    path = Path(file)
    times = [found.stat().st_mtime for found in path.parent.glob(f"{path.name}*")]
    if not times:
        return f"{file} is not there"
    age = time.time() - max(times)
    return f"{file} was written {age / 60:.0f} minutes ago" if age > float(minutes) * 60 else ""


def relay() -> str:
    """Return that no relay of this container listens, or nothing."""
    import psycopg

    try:
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=TIMEOUT) as connection:
            found = connection.execute(LISTENING).fetchone()
    except psycopg.Error as error:
        return str(error)
    return "" if found and found[0] else "no relay of this container listens to the database"


CHECKS: dict[str, Callable[..., str]] = {"http": http, "written": written, "relay": relay}


def main(arguments: Sequence[str]) -> int:
    """Carry out one check and return the exit code."""
    problem = CHECKS[arguments[0]](*arguments[1:])
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
