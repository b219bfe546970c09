"""Operations in the admin: actions of a list, buttons of an object's page, a page that asks why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminTextareaWidget

from outbox.admin.operations import Operation, Outcome

MOST_AT_ONCE = 500
"""Rows of one request: they are changed and audited in one transaction, which should stay short."""
SHOWN = 20


class ReasonForm(forms.Form):
    """Asks why."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        help_text=gettext_lazy("Kept in the history, with your name."),
        error_messages={"required": gettext_lazy("Say why: the reason is kept in the history.")},
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
    )


class OperationsMixin:
    """For a ``ModelAdmin``: offers the declared ``operations``.

    Each is refused with 403 to who lacks its permission, here and again where it is performed; rows are
    changed by POST only.
    """

    operations: Sequence[Operation] = ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Django's actions, and the operations that this user may use."""
        actions = super().get_actions(request)  # type: ignore[misc]  # a mixin: ModelAdmin has it
        for operation in self.operations:
            if request.user.has_perm(operation.permission):
                actions[operation.name] = (_action(operation), operation.name, operation.label)
        return dict(actions)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list. A forbidden operation is refused out loud, where Django would show the list again."""
        if request.method == "POST":
            chosen = request.POST.getlist("action")
            for operation in self.operations:
                if operation.name in chosen:
                    operation.require(request.user)
            if not self._are_ids(request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)):
                messages.error(
                    request, _("The selection was not understood: select rows in the list, and try again.")
                )
                return HttpResponseRedirect(request.get_full_path())
        response: HttpResponse = super().changelist_view(request, extra_context)  # type: ignore[misc]
        return response

    def get_urls(self) -> list[URLPattern]:
        """Django's addresses, and one for operations on an object."""
        view = self.admin_site.admin_view(require_http_methods(["GET", "HEAD", "POST"])(self.operate_view))  # type: ignore[attr-defined]
        own = path("<path:object_id>/operate/<slug:name>/", view, name=self._url_name("operate"))
        return [own, *super().get_urls()]  # type: ignore[misc]

    def operate_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """One operation on one object: GET asks, POST does it."""
        operation = self._operation(name)
        operation.require(request.user)
        obj = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if obj is None:
            missing: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
            return missing
        form = ReasonForm(request.POST or None)
        if request.method != "POST" or (operation.needs_reason and not form.is_valid()):
            return self._ask(request, operation, [obj], form, {})
        self._run(request, operation, [obj.pk], form)
        if self.get_object(request, unquote(object_id)) is None:  # type: ignore[attr-defined]  # it was ended
            return HttpResponseRedirect(reverse(f"admin:{self._url_name('changelist')}"))
        return HttpResponseRedirect(reverse(f"admin:{self._url_name('change')}", args=[obj.pk]))

    def operate_on_selected(
        self, request: HttpRequest, queryset: QuerySet[Any], *, operation: Operation
    ) -> HttpResponse | None:
        """One operation on the rows selected in the list: the page that asks why, or ``None`` when done."""
        operation.require(request.user)
        if (
            request.POST.get("select_across", "0") == "0"
        ):  # by id: what left the list's filter meanwhile is told, too
            ids = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
            queryset = self.get_queryset(request).filter(pk__in=ids)  # type: ignore[attr-defined]
        chosen = list(queryset[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            messages.error(request, _("Nothing was changed: select at most %d at a time.") % MOST_AT_ONCE)
            return None
        form = ReasonForm(request.POST if "confirmed" in request.POST else None)
        if operation.needs_reason and not form.is_valid():
            fields = {"selection": [obj.pk for obj in chosen], "action": operation.name}
            return self._ask(request, operation, chosen, form, fields)
        self._run(request, operation, [obj.pk for obj in chosen], form)
        return None

    def offered(self, request: HttpRequest, obj: Model) -> list[dict[str, Any]]:
        """Buttons of the operations that this user may use and that apply to the object as it is."""
        return [
            {"operation": o, "url": reverse(f"admin:{self._url_name('operate')}", args=[obj.pk, o.name])}
            for o in self.operations
            if request.user.has_perm(o.permission) and o.applies(obj)
        ]

    def _run(self, request: HttpRequest, operation: Operation, ids: list[Any], form: ReasonForm) -> None:
        reason = form.cleaned_data["reason"] if operation.needs_reason else ""
        _tell(request, operation, operation.run(request.user, ids, reason))

    def _ask(
        self,
        request: HttpRequest,
        operation: Operation,
        objects: list[Any],
        form: ReasonForm,
        fields: dict[str, Any],
    ) -> HttpResponse:
        site = self.admin_site  # type: ignore[attr-defined]
        request.current_app = site.name
        context = {
            **site.each_context(request),
            "opts": self.opts,  # type: ignore[attr-defined]
            "title": operation.question % {"count": len(objects)},
            "operation": operation,
            "objects": objects[:SHOWN],
            "more": max(0, len(objects) - SHOWN),
            "form": form if operation.needs_reason else None,
            "selection_name": helpers.ACTION_CHECKBOX_NAME,
            "back": self._way_back(objects, fields, request),
            **fields,
        }
        return TemplateResponse(request, "admin/console/operation.html", context)

    def _way_back(self, objects: list[Any], fields: dict[str, Any], request: HttpRequest) -> str:
        """Where "Cancel" leads: to the list as it was filtered, or to the object."""
        if fields:
            return request.get_full_path()
        return reverse(f"admin:{self._url_name('change')}", args=[objects[0].pk])

    def _operation(self, name: str) -> Operation:
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise Http404(f"There is no operation {name!r}.")

    def _are_ids(self, given: list[str]) -> bool:
        try:
            for value in given:
                self.opts.pk.to_python(value)  # type: ignore[attr-defined]
        except ValidationError:
            return False
        return True

    def _url_name(self, view: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{view}"  # type: ignore[attr-defined]


def _action(operation: Operation) -> Callable[..., HttpResponse | None]:
    """As Django calls an action: with the admin, the request and the rows."""

    def act(admin: OperationsMixin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return partial(admin.operate_on_selected, operation=operation)(request, queryset)

    return act


def _tell(request: HttpRequest, operation: Operation, outcome: Outcome) -> None:
    if outcome.changed:
        messages.success(request, operation.done % {"count": outcome.changed})
    if outcome.refused:
        messages.warning(request, operation.refused % {"count": outcome.refused})
    for explanation in outcome.explanations:
        messages.warning(request, explanation)
