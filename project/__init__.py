"""Wires the platform and the application: settings, Celery, URLs, the embedded stack."""
