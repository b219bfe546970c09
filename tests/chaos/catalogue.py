"""All faults, by name."""

from __future__ import annotations

from tests.chaos.fault import Fault
from tests.chaos.faults import broker, database, network, processes, world

FAULTS: dict[str, Fault] = {
    fault.name: fault for module in (processes, broker, database, network, world) for fault in module.FAULTS
}
