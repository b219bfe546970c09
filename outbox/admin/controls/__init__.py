"""What operators tell all relays at run time: pauses of types, queues and keys; rate limits."""

from outbox.admin.controls.limits import RateLimitAdmin
from outbox.admin.controls.pauses import PauseAdmin

__all__ = ["PauseAdmin", "RateLimitAdmin"]
