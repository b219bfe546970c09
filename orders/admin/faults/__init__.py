"""The page with the sandbox's fault switches: the classroom. Only where the sandbox is what the shop talks to."""

from orders.admin.faults.page import FaultSwitchAdmin

__all__ = ["FaultSwitchAdmin"]
