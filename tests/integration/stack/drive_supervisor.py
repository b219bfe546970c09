"""A program that supervises stand-in processes, for the tests to start, signal and kill.

    python drive_supervisor.py STATE_DIR SPEC

SPEC is JSON: a list of stages, each a list of {"name", "code", "ready", "stop_timeout"?}. `code` is run by
Python with `say(text)` at hand; `ready` is the text that the process prints when it is ready, or null for a
process that runs once. Prints "ALL READY" when everything is, and exits as `python -m project.stack up` does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from project.stack.errors import StackError
from project.stack.output import Printer
from project.stack.readiness import Finishes, Prints
from project.stack.runs import Run
from project.stack.service import Service, ServiceProcess
from project.stack.supervisor import RestartPolicy, StopRequested, Supervisor

QUICK_RESTARTS = RestartPolicy(quick=5.0, allowed=2, first_delay=0.05)
PRELUDE = "import os, signal, sys, time\ndef say(text): sys.stdout.write(text + '\\n')\n"


def main(state: Path, stages: list[list[dict[str, Any]]]) -> int:
    run, printer = Run.new(state), Printer(8)
    with Supervisor(run, printer, policy=QUICK_RESTARTS) as supervisor:
        try:
            for stage in stages:
                supervisor.start(
                    [
                        ServiceProcess(_service(spec), env={}, cwd=state, run=run, on_line=printer.line)
                        for spec in stage
                    ]
                )
            printer.plain("ALL READY")
            supervisor.watch()
        except StopRequested:
            return 0
        except StackError as error:
            printer.plain(str(error))
            return 1
    raise AssertionError("watch returned")


def _service(spec: dict[str, Any]) -> Service:
    return Service(
        spec["name"],
        (sys.executable, "-c", PRELUDE + spec["code"]),
        Finishes() if spec["ready"] is None else Prints(spec["ready"]),
        start_timeout=10.0,
        stop_timeout=spec.get("stop_timeout", 5.0),
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
