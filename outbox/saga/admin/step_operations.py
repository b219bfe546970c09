"""What an operator does with one step of a saga: skip it, mark it as done, go on from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from outbox.admin.operating import ReasonForm
from outbox.admin.operations import Operation
from outbox.saga import operations, registry
from outbox.saga.admin.operations import OPEN, PERMISSION, STOPPED_STEP, Status, perform, steps_of
from outbox.saga.exceptions import UnknownSaga, UnknownVersion
from outbox.saga.models import Saga, SagaStep


class StepForm(ReasonForm):
    """Asks which step, and why."""

    field_order = ("step", "result", "reason")

    def __init__(self, names: list[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(name, name) for name in names]
        self.fields["step"] = forms.ChoiceField(
            label=_("Step"), choices=choices, widget=UnfoldAdminSelectWidget
        )
        self.order_fields(self.field_order)


class ResultForm(StepForm):
    """Asks for the result as well."""

    result = forms.JSONField(
        label=_("Result"),
        required=False,
        initial=dict,
        help_text=_("As JSON: what the step's work would have returned, such as an id of the provider's."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )


@dataclass(frozen=True)
class StepOperation(Operation):
    """An operation on one step of one saga.

    Args:
        change: does it; told the saga's id, the step, the actor, the reason, and the result where it asks for one.
        said: of it in the audit, with ``%(step)s`` and ``%(reason)s``.
        names: the steps of a saga that it can be done to.
        form: what it asks.
        in_table: its name beside each of these steps; empty: it is not offered there.
    """

    change: Callable[..., None] = operations.skip
    said: str = ""
    names: Callable[[Saga], list[str]] = lambda _: []
    form: type[StepForm] = StepForm
    in_table: Any = ""

    def on(self, answers: dict[str, Any]) -> Operation:
        """The same for the step that the form names."""
        given = {"step": answers["step"]} | ({"result": answers["result"]} if "result" in answers else {})
        said = self.said.replace("%(step)s", answers["step"].replace("%", "%%"))
        return replace(self, perform=partial(perform, partial(self.change, **given), said))


def _open_or_stopped(saga: Saga) -> list[str]:
    if saga.status not in (*OPEN, Status.NEEDS_ATTENTION):
        return []
    stopped = STOPPED_STEP if saga.status == Status.NEEDS_ATTENTION else ()
    return list(dict.fromkeys(step.name for step in steps_of(saga, "scheduled", "waiting", *stopped)))


def _not_done(saga: Saga) -> list[str]:
    """Steps of the definition that a parked saga could go on from."""
    if saga.status != Status.NEEDS_ATTENTION:
        return []
    rows = list(saga.steps.all())
    if any(row.direction == SagaStep.Direction.COMPENSATION for row in rows):
        return []
    done = {row.name for row in rows if row.status in ("succeeded", "skipped")}
    try:
        definition = registry.definition_of(saga.definition, saga.version)
    except (UnknownSaga, UnknownVersion):
        return []
    return [name for name in definition.by_name if name not in done]


def _unused(*_: Any) -> Any:
    raise NotImplementedError("A step operation is performed through on().")


def _step_operation(names: Callable[[Saga], list[str]], **given: Any) -> StepOperation:
    return StepOperation(
        permission=PERMISSION,
        perform=_unused,
        applies=lambda saga: bool(names(saga)),
        names=names,
        needs_reason=True,
        refused=ngettext_lazy(
            "%(count)d saga was left as it was.", "%(count)d sagas were left as they were.", "count"
        ),
        **given,
    )


SKIP = _step_operation(
    _open_or_stopped,
    name="skip",
    in_table=_("Skip"),
    label=_("Skip a step"),
    change=operations.skip,
    said="Skipped %(step)s: %(reason)s",
    question=ngettext_lazy("Skip a step of %(count)d saga?", "Skip a step of %(count)d sagas?", "count"),
    explanation=_(
        "The step counts as done, without a result, and the saga goes on. If it may have happened it is still "
        "undone, should the saga turn back. Skipping an undo says that somebody has undone it by hand."
    ),
    done=ngettext_lazy(
        "A step of %(count)d saga was skipped.", "A step of %(count)d sagas was skipped.", "count"
    ),
    is_dangerous=True,
)

MARK_DONE = _step_operation(
    _open_or_stopped,
    name="done",
    in_table=_("Mark as done"),
    label=_("Mark a step as done"),
    change=operations.mark_done,
    said="Marked %(step)s as done: %(reason)s",
    form=ResultForm,
    question=ngettext_lazy(
        "Mark a step of %(count)d saga as done?", "Mark a step of %(count)d sagas as done?", "count"
    ),
    explanation=_(
        "You say that it has happened, by your own doing or as you found out. What its work would have recorded is "
        "recorded, and the saga goes on."
    ),
    done=ngettext_lazy(
        "A step of %(count)d saga is marked as done.", "A step of %(count)d sagas is marked as done.", "count"
    ),
)

RESUME_FROM = _step_operation(
    _not_done,
    name="resume-from",
    label=_("Resume from a step"),
    change=operations.resume,
    said="Resumed from %(step)s: %(reason)s",
    question=ngettext_lazy(
        "Resume %(count)d saga from a step?", "Resume %(count)d sagas from a step?", "count"
    ),
    explanation=_("It goes on from this step. Those before it that are not done are skipped."),
    done=ngettext_lazy("%(count)d saga was resumed.", "%(count)d sagas were resumed.", "count"),
)

STEP_OPERATIONS = (SKIP, MARK_DONE, RESUME_FROM)


def offered_on(request: HttpRequest, saga: Saga, step: SagaStep) -> Iterator[tuple[str, Any]]:
    """Addresses and names of what this user may do to one step, for the table of steps."""
    if not request.user.has_perm(PERMISSION):
        return
    for operation in STEP_OPERATIONS:
        rows = [row for row in steps_of(saga, "scheduled", "waiting", *STOPPED_STEP) if row.pk == step.pk]
        if operation.in_table and rows and step.name in operation.names(saga):
            url = reverse("admin:saga_saga_operate", args=[saga.pk, operation.name])
            yield f"{url}?step={step.name}", operation.in_table
