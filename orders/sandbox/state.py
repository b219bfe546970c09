"""What every request needs: the running sandbox, hung on the app."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from orders.sandbox.faults import FaultSwitches
from orders.sandbox.ledger import Ledger
from orders.sandbox.settings import SandboxSettings


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A started sandbox: its ledger, its fault switches, its token."""

    ledger: Ledger
    faults: FaultSwitches
    token: str = field(repr=False)

    @classmethod
    def start(cls, settings: SandboxSettings) -> Sandbox:
        """Open the ledger. Raises StartupError when it cannot be used."""
        ledger = Ledger.open(settings.database)
        return cls(ledger, FaultSwitches(ledger), settings.token)


def sandbox_of(request: Request) -> Sandbox:
    """The sandbox that serves ``request``."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox
