"""The real sandbox for tests: a process of its own, real HTTP, a real SQLite file, and it can be killed."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

_ROOT = Path(__file__).resolve().parents[2]  # where `orders` can be imported from
_PATIENCE_SECONDS = 20.0  # for a start or a stop, on a busy machine


class SandboxServer:
    """A sandbox on a free port, with a ledger file in ``folder`` that outlives it.

    ``url`` and ``token`` are what clients need; ``log`` is the file with the server's output.
    """

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(8)
        self.database = folder / "ledger.db"
        self.log = folder / "log"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers. Raises RuntimeError, with its log, when it does not."""
        environ = os.environ | {"SANDBOX_DB": str(self.database), "SANDBOX_TOKEN": self.token}
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "orders.sandbox.app:app"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=_ROOT,
                env=environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_healthy(self._process)

    def stop(self) -> None:
        """SIGTERM, and wait for the end; nothing when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(_PATIENCE_SECONDS)

    def kill(self, *, parent_only: bool = False) -> None:
        """SIGKILL the server and its worker, or the server alone."""
        process, self._process = self._process, None
        if process is None:
            raise RuntimeError("the sandbox is not running: start() it first")
        if parent_only:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_PATIENCE_SECONDS)

    def http(self, **options: Any) -> httpx.Client:
        """A bare client with the token, patient unless it is told otherwise."""
        headers = {"Authorization": f"Bearer {self.token}"}
        options = {"timeout": _PATIENCE_SECONDS, **options}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, **options)

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/healthz", trust_env=False, timeout=1).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)  # nothing tells a client that a port will open: ask again
        self.stop()
        raise RuntimeError(f"the sandbox did not start: {self.log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
