"""The platform's tables."""

from outbox.models.attempt import Attempt
from outbox.models.bulk import BulkOperation
from outbox.models.control import Pause, RateLimit
from outbox.models.inbox import InboxMessage
from outbox.models.message import Message, Status

__all__ = ["Attempt", "BulkOperation", "InboxMessage", "Message", "Pause", "RateLimit", "Status"]
