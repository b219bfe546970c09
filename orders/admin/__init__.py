"""The shop's part of the operator's console. Found by Django's admin autodiscovery."""

from orders.admin import links  # noqa: F401  (registers what messages and sagas link to)
from orders.admin.access import ApiKeyAdmin
from orders.admin.catalogue import ProductAdmin
from orders.admin.faults import FaultSwitchAdmin
from orders.admin.order import OrderAdmin
from orders.admin.reporting import DailySalesAdmin

__all__ = ["ApiKeyAdmin", "DailySalesAdmin", "FaultSwitchAdmin", "OrderAdmin", "ProductAdmin"]
