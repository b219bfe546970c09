"""How the states of sagas and their steps are shown: one word and one colour each, everywhere."""

from __future__ import annotations

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from outbox.admin.rendering import label
from outbox.saga.models import Saga, SagaStep

SAGA_COLOURS = {
    Saga.Status.RUNNING: "info",
    Saga.Status.COMPENSATING: "warning",
    Saga.Status.COMPLETED: "success",
    Saga.Status.COMPENSATED: "",
    Saga.Status.NEEDS_ATTENTION: "danger",
}
STEP_COLOURS = {
    SagaStep.Status.SCHEDULED: "info",
    SagaStep.Status.RUNNING: "primary",
    SagaStep.Status.SUCCEEDED: "success",
    SagaStep.Status.FAILED: "danger",
    SagaStep.Status.UNKNOWN: "warning",
    SagaStep.Status.CANCELLED: "",
}


def saga_label(saga: Saga) -> SafeString:
    """A saga's state as a coloured word."""
    if saga.status == Saga.Status.RUNNING and saga.cancel_requested:
        return label(
            _("Running · called off"),
            "warning",
            title=_("Compensates as soon as the step at work has ended."),
        )
    return label(saga.get_status_display(), SAGA_COLOURS[Saga.Status(saga.status)])


def step_label(step: SagaStep) -> SafeString:
    """A step's state as a coloured word."""
    if step.status == SagaStep.Status.SCHEDULED and step.attempt:
        return label(_("Scheduled again"), "warning", title=_("An attempt failed; it is tried again."))
    title = (
        _("Given up without an answer: it may have happened.")
        if step.status == SagaStep.Status.UNKNOWN
        else ""
    )
    return label(step.get_status_display(), STEP_COLOURS[SagaStep.Status(step.status)], title=title)
