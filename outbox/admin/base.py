"""The admin that all pages of the console build upon: for reading, with operations instead of editing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from outbox.admin.links import Link
from outbox.admin.operating import OperationsMixin
from outbox.admin.paginator import BoundedPaginator
from outbox.admin.rendering import Section


class ReadOnlyMixin:
    """Nothing is added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nobody deletes."""
        return False


class ConsoleList(ChangeList):
    """A list that reads no more than it shows."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """The rows as filtered, prepared by the admin."""
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        prepared: QuerySet[Any] = self.model_admin.for_list(rows)
        return prepared

    def get_results(self, request: HttpRequest) -> None:
        """One page. Above it the number of a filtered list is said, where it is one."""
        super().get_results(request)
        if not self.queryset.query.where or not self.paginator.is_exact:
            self.full_result_count = self.result_count


class ConsoleAdmin(OperationsMixin, ModelAdmin):
    """Lists that stay quick on huge tables, pages with sections below their fields."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_filter_sheet = True
    list_disable_select_all = True
    change_form_template = "admin/console/change_form.html"
    object_history_template = "admin/console/object_history.html"
    compressed_fields = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ConsoleList]:  # noqa: ARG002
        """The class of the list."""
        return ConsoleList

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[Any]:
        """Of a row that nobody may change: everything, also what is no column."""
        if obj is None or not self.fieldsets or self.has_change_permission(request, obj):
            return self.readonly_fields or ()
        return flatten_fieldsets(self.fieldsets)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one object, with its links, operations and sections."""
        response: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        context = getattr(response, "context_data", None)
        if context and (obj := context.get("original")) is not None:
            context["links"] = list(self.links(request, obj))
            context["offered"] = self.offered(request, obj)
            context["sections"] = list(self.sections(request, obj))
        return response

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Prepare the rows of the list: leave columns out, fetch related rows along."""
        return rows

    def links(self, request: HttpRequest, obj: Any) -> Iterable[Link]:  # noqa: ARG002
        """Where else the reader may want to go from the page of an object."""
        return ()

    def sections(self, request: HttpRequest, obj: Any) -> Iterable[Section]:  # noqa: ARG002
        """Parts of the page below the fields."""
        return ()


def shown(column: str, description: Any, render: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A read-only field: a column, as ``render`` shows it. Assign it in the body of an admin class."""

    @admin.display(description=description)
    def show(_admin: Any, obj: Any) -> Any:
        return render(getattr(obj, column))

    return show
