"""The shop's tables."""

from orders.models.access import ApiKey, IdempotencyRecord
from orders.models.basket import BasketItem
from orders.models.catalogue import Product, Stock
from orders.models.faults import FaultSwitch
from orders.models.fulfilment import Payment, Reservation, Shipment
from orders.models.order import Order, OrderLine
from orders.models.reporting import DailySales

__all__ = [
    "ApiKey",
    "BasketItem",
    "DailySales",
    "FaultSwitch",
    "IdempotencyRecord",
    "Order",
    "OrderLine",
    "Payment",
    "Product",
    "Reservation",
    "Shipment",
    "Stock",
]
