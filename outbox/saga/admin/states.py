"""How the states of sagas and their steps are shown: one word and one colour each, everywhere."""

from __future__ import annotations

from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from outbox.admin.rendering import label
from outbox.saga.models import Saga, SagaStep

SAGA_LOOKS = {
    "running": (gettext_lazy("Running"), "info"),
    "compensating": (gettext_lazy("Compensating"), "warning"),
    "completed": (gettext_lazy("Completed"), "success"),
    "compensated": (gettext_lazy("Compensated"), ""),
    "needs_attention": (gettext_lazy("Needs attention"), "danger"),
}
STEP_LOOKS: dict[str, tuple[Any, str, Any]] = {
    "scheduled": (gettext_lazy("Scheduled"), "info", ""),
    "running": (gettext_lazy("Running"), "primary", ""),
    "waiting": (gettext_lazy("Waiting"), "info", gettext_lazy("It waits for an outside event.")),
    "succeeded": (gettext_lazy("Succeeded"), "success", ""),
    "failed": (gettext_lazy("Failed"), "danger", gettext_lazy("Refused: it certainly did not happen.")),
    "unknown": (
        gettext_lazy("Unknown"),
        "warning",
        gettext_lazy("Given up without an answer: it may have happened."),
    ),
    "cancelled": (gettext_lazy("Cancelled"), "", gettext_lazy("Called off before it started.")),
    "skipped": (gettext_lazy("Skipped"), "", gettext_lazy("Passed over.")),
}

HAPPENINGS: dict[str, tuple[Any, str]] = {
    "started": (gettext_lazy("started"), ""),
    "attempt started": (gettext_lazy("attempt started"), ""),
    "succeeded": (gettext_lazy("succeeded"), "success"),
    "completed": (gettext_lazy("completed"), "success"),
    "will retry": (gettext_lazy("will retry"), "warning"),
    "will ask what became of it": (gettext_lazy("will ask what became of it"), "warning"),
    "waits": (gettext_lazy("waits"), "warning"),
    "postponed": (gettext_lazy("postponed"), ""),
    "timed out": (gettext_lazy("timed out"), "warning"),
    "held": (gettext_lazy("held"), ""),
    "released": (gettext_lazy("released"), ""),
    "signal received": (gettext_lazy("signal received"), ""),
    "signal refused": (gettext_lazy("signal refused"), "warning"),
    "outcome refused": (gettext_lazy("outcome refused"), ""),
    "given up": (gettext_lazy("given up"), "danger"),
    "failed": (gettext_lazy("failed"), "danger"),
    "parked": (gettext_lazy("parked"), "danger"),
    "cancel requested": (gettext_lazy("cancel requested"), "warning"),
    "too late to cancel": (gettext_lazy("too late to cancel"), ""),
    "called off": (gettext_lazy("called off"), ""),
    "compensating": (gettext_lazy("compensating"), "warning"),
    "compensated": (gettext_lazy("compensated"), ""),
    "migrated": (gettext_lazy("migrated"), ""),
    "retry now": (gettext_lazy("retry now"), ""),
    "resumed": (gettext_lazy("resumed"), "primary"),
    "skipped": (gettext_lazy("skipped"), ""),
    "passed over": (pgettext_lazy("step", "passed over"), ""),
    "marked as done": (gettext_lazy("marked as done"), ""),
    "paused": (gettext_lazy("paused"), ""),
    "unpaused": (gettext_lazy("unpaused"), ""),
}
"""What happened to a saga, in the reader's language, and its colour; empty is grey."""


def saga_label(saga: Saga) -> SafeString:
    """A saga's state as a coloured word."""
    if saga.status == Saga.Status.RUNNING and saga.cancel_requested:
        return label(
            _("Running · called off"),
            "warning",
            title=_("Compensates as soon as the step at work has ended."),
        )
    text, colour = SAGA_LOOKS[saga.status]
    return label(str(text), colour)


def step_label(step: SagaStep, waits_for: str = "") -> SafeString:
    """A step's state as a coloured word.

    Args:
        waits_for: the service that it waits for, if it does.
    """
    if step.status == SagaStep.Status.SCHEDULED and waits_for:
        title = _("It begins when the service is there again, and no try is spent until then.")
        return label(_("Waits for %s") % waits_for, "warning", title=title)
    if step.status == SagaStep.Status.SCHEDULED and step.attempt:
        return label(_("Scheduled again"), "warning", title=_("An attempt failed; it is tried again."))
    text, colour, title = STEP_LOOKS[step.status]
    return label(str(text), colour, title=str(title))


def happening(what: str) -> tuple[str, str]:
    """What happened to a saga in the reader's words, and its colour. What is new here is shown as it is written."""
    text, colour = HAPPENINGS.get(what, (what, ""))
    return str(text), colour
