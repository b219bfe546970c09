"""A program that keeps embedded servers running until it is killed: python hold_servers.py STATE_DIR"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from project.stack.servers import embedded_servers

with embedded_servers(Path(sys.argv[1])) as servers:
    sys.stdout.write(f"READY {servers.postgres.pid} {servers.valkey.pid}\n")
    signal.pause()
