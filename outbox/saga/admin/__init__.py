"""The operator's console for sagas. Found by Django's admin autodiscovery."""

from outbox.saga.admin import links  # noqa: F401  (registers what messages link to)
from outbox.saga.admin.saga import SagaAdmin

__all__ = ["SagaAdmin"]
