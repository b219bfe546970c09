"""The platform's tables."""

from outbox.models.attempt import Attempt
from outbox.models.message import Message, Status

__all__ = ["Attempt", "Message", "Status"]
