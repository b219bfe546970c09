"""`python -m project.stack` with stand-ins for the application's processes; the servers are real.

    python drive_up.py up|status|env [options]

`STANDIN_FAILS=1` makes the last process die at its start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from project.stack import up
from project.stack.__main__ import main
from project.stack.readiness import Answers, Finishes, Prints
from project.stack.service import Service
from project.stack.services import Ports
from project.stack.state import StateDir

WAIT = "import signal, os; print('begun', flush=True); signal.pause()"
SERVE = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def stand_ins(state: StateDir, ports: Ports, accounts: Mapping[str, str]) -> list[list[Service]]:
    """A process that runs once, one that serves HTTP, and one that says when it is ready."""
    last = "raise SystemExit('broken')" if os.environ.get("STANDIN_FAILS") else WAIT
    return [
        [
            Service(
                "seed",
                python("import os; print(len(os.environ['TODOKE_OPERATOR_PASSWORD']))"),
                Finishes(),
                accounts,
            )
        ],
        [
            Service("web", python(SERVE, str(ports.web)), Answers(f"http://127.0.0.1:{ports.web}/")),
            Service("worker", python(last), Prints("begun")),
        ],
    ]


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


if __name__ == "__main__":
    vars(up).update(stages=stand_ins)
    sys.exit(main(sys.argv[1:]))
