"""Todoke's platform: a transactional outbox, its relay, and sagas, for Django and Celery.

Import from :mod:`outbox.api` (and :mod:`outbox.saga.api`); everything else is private.
"""
