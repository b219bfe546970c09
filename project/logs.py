"""Log lines: coloured on a terminal, JSON in production, always with the ids of the work at hand."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger


def add_work_context(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What the line belongs to: the order, the message being consumed, the trace."""
    from outbox.context import current_context

    context = current_context()
    for name in ("correlation_id", "causation_id", "traceparent"):
        if value := getattr(context, name):
            event.setdefault(name, value)
    return event


PERIODIC = ("outbox.dispatch", "outbox.saga.sweep")
CHATTY = ("celery.beat", "celery.worker.strategy", "celery.app.trace")


class Routine(logging.Filter):
    """Leaves out routine: that a task came (its end is told), and what happens every few seconds.

    Warnings and errors stay.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show the line."""
        if record.levelno > logging.INFO or record.name not in CHATTY:
            return True
        if record.name == "celery.worker.strategy":
            return False
        message = record.getMessage()
        return not any(task in message for task in PERIODIC)


def logging_config(*, level: str, json: bool) -> dict[str, Any]:
    """The ``LOGGING`` setting.

    Args:
        level: the lowest level shown, such as ``INFO``.
        json: one JSON object a line, instead of text for people.
    """
    shared = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_work_context,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,  # no local variables: they hold secrets
        )
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([structlog.processors.format_exc_info] if json else []),
            renderer,
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structlog": formatter},
        "filters": {"routine": {"()": Routine}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "structlog", "filters": ["routine"]}
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "httpx": {"level": "WARNING"},
            "django": {"level": level},  # without Django's own handler, which would say everything twice
            "django.server": {"handlers": ["console"], "propagate": False},
        },
    }
