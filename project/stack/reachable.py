"""`python -m project.stack.reachable`: whether the database answers, in one line instead of a traceback."""

from __future__ import annotations

import os
import sys

import psycopg


def main() -> int:
    """Connect once to `DATABASE_URL`. Returns the exit code: 0 when it answers."""
    try:
        psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5).close()
    except psycopg.Error as error:
        print(
            f"The database of DATABASE_URL cannot be reached: {str(error).strip().splitlines()[0]}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
