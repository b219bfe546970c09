"""Sagas: a business process as steps, each with its undo. Import from :mod:`outbox.saga.api`."""
