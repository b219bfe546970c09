"""Running the whole stack in the foreground."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from project.stack.credentials import load_credentials
from project.stack.environment import (
    account_passwords,
    choose_ports,
    given_server,
    process_environment,
)
from project.stack.output import Printer
from project.stack.placement import place_servers
from project.stack.priority import niceness
from project.stack.report import accounts_report, urls_report
from project.stack.reservations import Reservations
from project.stack.runinfo import READY, STOPPING, RunInfo, forget_run
from project.stack.runs import Run, end_earlier_runs
from project.stack.servers import make_servers
from project.stack.service import ServiceProcess
from project.stack.services import Ports, stages
from project.stack.state import PROJECT, StateDir
from project.stack.supervisor import StopRequested, Supervisor

NAME_WIDTH = 8  # characters of the longest name of a service
SHOWN = "accounts-shown"
ROOT_NOTE = (
    "started by root: {account} runs the servers, root the rest; an ordinary user is the better choice"
)


def up(state_dir: Path | None = None, *, attended: bool = True) -> None:
    """Start everything, say so, keep it running, and stop it in order when a signal asks for it.

    `attended`: a person reads the output. Otherwise no passwords are printed, and the end of standard input
    asks for the stop too, so that the stack does not outlive the program that started it.

    Raises AlreadyRunningError when a stack has the state directory, StackError when something does not start.
    """
    niceness()  # what is wrong with it is said before anything starts
    state = StateDir.open(state_dir)
    with state.lock():
        printer = Printer(NAME_WIDTH)
        if left := end_earlier_runs(state.path):
            printer.say(f"ended {left} processes that an earlier, killed stack had left behind")
        try:
            with Reservations() as reservations:
                _Stack(state, printer, choose_ports(reservations), attended=attended).run()
        finally:
            forget_run(state)


class _Stack:
    """One run of the whole stack on a locked state directory."""

    def __init__(self, state: StateDir, printer: Printer, ports: Ports, *, attended: bool) -> None:
        self._state = state
        self._printer = printer
        self._attended = attended
        self._run = Run.new(state.path)
        self._credentials = load_credentials(state)
        self._ports = ports
        self._info = RunInfo.of_process(state, os.getpid()).save(state, urls=self._ports.urls)
        self._supervisor = Supervisor(
            self._run, printer, on_change=lambda processes: self._note(processes=processes)
        )

    def run(self) -> None:
        with self._supervisor:
            if not self._attended:
                threading.Thread(target=self._stop_at_end_of_input, daemon=True).start()
            try:
                self._start()
                self._supervisor.watch()
            except StopRequested:
                self._printer.say("stopping")
            finally:
                self._note(status=STOPPING)
        self._printer.say("stopped")

    def _start(self) -> None:
        urls = self._start_servers()
        env = process_environment(
            self._state, self._credentials, self._ports, urls["DATABASE_URL"], urls["BROKER_URL"]
        )
        accounts = account_passwords(self._credentials)
        self._note(env=env | accounts)
        for stage in stages(self._state, self._ports, accounts):
            self._supervisor.start(
                [
                    ServiceProcess(service, env=env, cwd=PROJECT, run=self._run, on_line=self._printer.line)
                    for service in stage
                ]
            )
        self._note(status=READY)
        self._announce()

    def _start_servers(self) -> dict[str, str]:
        """Start the embedded servers that the environment does not replace; return the addresses of both."""
        urls = {name: given_server(name) for name in ("DATABASE_URL", "BROKER_URL")}
        if None in urls.values():
            placement = place_servers(self._state)
            for note in placement.notes:
                self._printer.say(note)
            if placement.account is not None:
                self._printer.say(ROOT_NOTE.format(account=placement.account.name))
            servers = make_servers(self._state, placement, self._credentials, self._run)
            embedded = {"DATABASE_URL": servers.postgres, "BROKER_URL": servers.valkey}
            self._supervisor.start([server for name, server in embedded.items() if urls[name] is None])
        return {name: url or embedded[name].url for name, url in urls.items()}

    def _announce(self) -> None:
        self._printer.plain(f"\nTodoke is ready.\n{urls_report(self._info)}")
        if self._attended:
            first_time = not self._state.file(SHOWN).exists()
            self._printer.plain(accounts_report(self._state, self._credentials, show=first_time))
            self._state.file(SHOWN).touch(mode=0o600)

    def _note(self, **changes: Any) -> None:
        self._info = self._info.save(self._state, **changes)

    def _stop_at_end_of_input(self) -> None:
        while os.read(
            sys.stdin.fileno(), 4096
        ):  # not sys.stdin.read(): its lock would outlive the interpreter
            pass
        self._supervisor.request_stop()
