"""Sagas: seen, searched and operated; never edited, never deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from outbox.admin.base import POSITION, ConsoleAdmin, ReadOnlyMixin, shown
from outbox.admin.ids import uuid_of
from outbox.admin.links import Link, links_of_correlation
from outbox.admin.message_sections import messages_url
from outbox.admin.rendering import NOTHING, Section, anchor, code, distance, moment, shortened
from outbox.conf import conf
from outbox.saga import registry
from outbox.saga.admin.attention import attention
from outbox.saga.admin.bulk import require_permission
from outbox.saga.admin.bulk_view import bulk_page
from outbox.saga.admin.filters import FILTERS
from outbox.saga.admin.live import hide_in, live_part, story_of
from outbox.saga.admin.operations import OPERATIONS, PERMISSION
from outbox.saga.admin.pausing import pause_page
from outbox.saga.admin.sections import sections_of
from outbox.saga.admin.states import saga_label, step_label
from outbox.saga.admin.step_operations import STEP_OPERATIONS, StepOperation
from outbox.saga.models import Saga, SagaStep

FACTS = (("definition", "works_on"), ("started", "identity"), ("ended", "deadline"), ("version",))
STEPS_SHOWN = ("id", "saga_id", "name", "direction", "status", "attempt")


@admin.register(Saga)
class SagaAdmin(ReadOnlyMixin, ConsoleAdmin):
    """Sagas, for operators."""

    operations = OPERATIONS
    pages_by_key = True
    list_display = ("definition", "key", "state", "current_step", "age", "in_short")
    list_filter = FILTERS
    list_before_template = "admin/console/saga/attention.html"
    change_form_template = "admin/console/saga/change_form.html"
    search_fields = ("id", "key", "reason", "attention")
    search_help_text = _("Id, key or reason")
    sortable_by = ()  # any other order than the key's would sort the whole table
    fieldsets = ((None, {"fields": FACTS}),)

    class Media:
        css = {"all": ["saga/saga.css"]}

    identity = shown("id", _("id"), lambda id_: code(str(id_)))
    works_on = shown("key", _("key"), lambda key: anchor(messages_url(key), key))
    age = shown("started_at", _("started"), distance)
    started = shown("started_at", _("started at"), moment)
    deadline = shown("deadline_at", _("deadline at"), moment)
    ended = shown("ended_at", _("ended at"), moment)

    @admin.display(description=_("state"))
    def state(self, saga: Saga) -> SafeString:
        """Its state in colour."""
        return saga_label(saga)

    @admin.display(description=_("why"))
    def in_short(self, saga: Saga) -> SafeString:
        """Why it needs a person; else why it compensates."""
        return shortened(saga.attention or saga.reason)

    @admin.display(description=_("current step"))
    def current_step(self, saga: Saga) -> str:
        """The step that it reached last, with that step's state."""
        steps = list(saga.steps.all())
        if not steps:
            return NOTHING
        latest, wait = steps[-1], getattr(steps[-1], "waits_for", None)
        undo = latest.direction == SagaStep.Direction.COMPENSATION
        name = _("%(step)s · undone") % {"step": latest.name} if undo else latest.name
        return SafeString(f"{code(name)} {step_label(latest, wait.dependency if wait else '')}")

    # --- What is shown --------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Saga]:  # noqa: ARG002
        """The sagas, in the database that carries them, latest first."""
        return Saga.objects.using(conf().DATABASE).order_by("-id")

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The list shows no contexts, and the steps of its sagas are fetched together."""
        steps = (
            SagaStep.objects.using(conf().DATABASE)
            .select_related("waits_for")
            .only(*STEPS_SHOWN, "waits_for")
        )
        return rows.defer("context").prefetch_related(Prefetch("steps", steps))

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Saga],
        search_term: str,
    ) -> tuple[QuerySet[Saga], bool]:
        """Sagas by id or key, else by words of the reason."""
        term = search_term.strip()
        if id_ := uuid_of(term):
            of_key = Q(definition__in=registry.names(), key__in=[term, str(id_)])  # as the index has them
            return queryset.filter(of_key | Q(id=id_)), False
        for word in term.split():
            in_words = Q(reason__icontains=word) | Q(attention__icontains=word)
            queryset = queryset.filter(in_words | Q(key=word))
        return queryset, False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list. Above it, where nothing is filtered: what needs somebody."""
        above = {} if request.GET else attention(request)
        if request.user.has_perm(PERMISSION):
            query = request.GET.copy()
            for name in POSITION:
                query.pop(name, None)
            above["bulk_url"] = f"{reverse('admin:saga_saga_bulk')}?{query.urlencode()}"
        return super().changelist_view(request, {**(extra_context or {}), **above})

    def hide(self, request: HttpRequest, obj: Any) -> None:
        """Hide from this user what is personal."""
        hide_in(request, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one saga. Its buttons stand with what moves."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        context = getattr(response, "context_data", None)
        if context and (saga := context.get("original")) is not None:
            context["live_part"] = live_part(request, story_of(request, saga), context.pop("offered", ()))
        return response

    # --- What people do -------------------------------------------------------------------------------------
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Saga | None:
        """The saga with its steps."""
        saga: Saga | None = super().get_object(request, object_id, from_field)
        if saga is not None:
            prefetch_related_objects([saga], "steps")
        return saga

    def offered(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """Buttons of what this user may do to the saga and its steps."""
        on_steps = [
            {"operation": o, "url": reverse("admin:saga_saga_operate", args=[obj.pk, o.name])}
            for o in STEP_OPERATIONS
            if request.user.has_perm(o.permission) and o.applies(obj)
        ]
        return [*super().offered(request, obj), *on_steps]

    def operate_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """One operation on one saga; one on a step asks which."""
        operation = next((o for o in STEP_OPERATIONS if o.name == name), None)
        if operation is None:
            return super().operate_view(request, object_id, name)
        operation.require(request.user)
        saga = self.get_object(request, object_id)
        if saga is None:
            missing: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return missing
        return self._operate_on_step(request, operation, saga)

    def _operate_on_step(self, request: HttpRequest, operation: StepOperation, saga: Saga) -> HttpResponse:
        initial = {"step": request.GET.get("step", "")}
        form = operation.form(operation.names(saga), request.POST or None, initial=initial)
        if request.method != "POST" or not form.is_valid():
            return self._ask(request, operation, [saga], form, {})
        self._run(request, operation.on(form.cleaned_data), [saga.pk], form)
        return HttpResponseRedirect(reverse("admin:saga_saga_change", args=[saga.pk]))

    # --- What moves -----------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """The console's addresses, and one for the part of a page that moves."""
        view = self.admin_site.admin_view(require_safe(self.live_view))
        bulk = self.admin_site.admin_view(require_http_methods(["GET", "HEAD", "POST"])(self.bulk_view))
        pause = self.admin_site.admin_view(require_http_methods(["GET", "HEAD", "POST"])(self.pause_view))
        return [
            path("bulk/", bulk, name="saga_saga_bulk"),
            path("definitions/<str:definition>/<slug:name>/", pause, name="saga_saga_definition"),
            path("<uuid:saga_id>/live/", view, name="saga_saga_live"),
            *super().get_urls(),
        ]

    def pause_view(self, request: HttpRequest, definition: str, name: str) -> HttpResponse:
        """Pause all sagas of a definition, or end the pause."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return pause_page(request, definition, name, context)

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """An operation on everything that the filters in the address show."""
        require_permission(request.user)
        request.position = {}  # type: ignore[attr-defined]  # of the list: all of it is meant
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:saga_saga_changelist") + "?e=1")
        context = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return bulk_page(request, rows.order_by(), context)

    def live_view(self, request: HttpRequest, saga_id: Any) -> HttpResponse:
        """The part of a saga's page that moves; nothing (204) where nothing has happened since the ``mark``."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        saga = self.get_object(request, str(saga_id))
        if saga is None:
            return HttpResponse(status=286)  # htmx stops asking
        story = story_of(request, saga)
        if not story.is_moving and request.GET.get("mark") == story.mark:
            return HttpResponse(status=204)
        return HttpResponse(live_part(request, story, self.offered(request, saga)))

    def links(self, request: HttpRequest, obj: Saga) -> Iterable[Link]:
        """What it works on, such as its order."""
        here = request.path
        return [link for link in links_of_correlation(request, obj.key) if link.url != here]

    def sections(self, request: HttpRequest, obj: Saga) -> Iterable[Section]:
        """Results, messages."""
        return sections_of(request, obj)
