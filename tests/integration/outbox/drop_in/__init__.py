"""Ordinary Celery code on two applications, plain and durable, each with a worker: the same must come out."""
