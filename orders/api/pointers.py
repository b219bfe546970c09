"""Where in an order's JSON body the fields of the service are."""

from __future__ import annotations

from dataclasses import fields

from orders.services.records import Delivery

_DELIVERY = {field.name for field in fields(Delivery)}


def pointer_to(name: str) -> str:
    """The JSON pointer of a field that :class:`orders.exceptions.InvalidOrder` names."""
    return f"#/delivery/{name}" if name in _DELIVERY else f"#/{name}"
