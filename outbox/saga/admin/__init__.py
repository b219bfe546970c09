"""The operator's console for sagas. Found by Django's admin autodiscovery."""

from outbox.saga.admin import dashboard, links  # noqa: F401  (they register panels, and what messages link to)
from outbox.saga.admin.saga import SagaAdmin

__all__ = ["SagaAdmin"]
