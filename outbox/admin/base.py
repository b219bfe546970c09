"""The admin that all pages of the console build upon: for reading, with operations instead of editing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from outbox.admin import keyset
from outbox.admin.links import Link
from outbox.admin.operating import OperationsMixin
from outbox.admin.paginator import BoundedPaginator
from outbox.admin.rendering import Section

POSITION = ("before", "after")


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

    page: keyset.Page | None = None
    result_list: Any
    result_count: int
    full_result_count: Any

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """The rows as filtered, prepared by the admin."""
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        prepared: QuerySet[Any] = self.model_admin.for_list(rows)
        return prepared

    def get_results(self, request: HttpRequest) -> None:
        """One page. Above it the number of a filtered list is said, where it is one."""
        if self.model_admin.pages_by_key:
            self._get_page(request)
        else:
            super().get_results(request)
        self.result_list = list(self.result_list)
        for row in self.result_list:
            self.model_admin.hide(request, row)
        if not self.queryset.query.where or not self.paginator.is_exact:
            self.full_result_count = self.result_count

    @property
    def first_url(self) -> str:
        """The top of the same list."""
        return str(self.get_query_string())

    @property
    def newer_url(self) -> str:
        """The page above."""
        return self._url_of("after", self.page.rows[0].pk if self.page else None)

    @property
    def older_url(self) -> str:
        """The page below, or the search from where it stopped."""
        return self._url_of("before", (self.page.searched_to or self.page.rows[-1].pk) if self.page else None)

    def _url_of(self, name: str, key: Any) -> str:
        return str(self.get_query_string({name: key}))

    def _get_page(self, request: HttpRequest) -> None:
        """A page by key, and what Django's templates want to know of a list."""
        self.page = page = keyset.page_of(self.queryset, _position(self, request), self.list_per_page)
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        if page.searched_to:
            self.paginator.give_up()
        elif not page.newer and not page.older:
            self.paginator.count = len(page.rows)
        self.result_list, self.result_count = page.rows, self.paginator.count
        self.full_result_count, self.show_full_result_count = None, False
        self.show_admin_actions, self.can_show_all, self.multi_page = True, False, False


class ConsoleAdmin(OperationsMixin, ModelAdmin):
    """Lists that stay quick on huge tables, pages with sections below their fields."""

    paginator = BoundedPaginator
    pages_by_key = False
    """Whether its pages are found by key, latest first, and not by number: for tables that may be huge."""
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_filter_sheet = True
    list_disable_select_all = True
    change_form_template = "admin/console/change_form.html"
    object_history_template = "admin/console/object_history.html"
    compressed_fields = True

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list. The place in it is no filter: a link to another filter begins at the top."""
        if self.pages_by_key:
            query = request.GET.copy()
            request.position = {name: str(query.pop(name)[-1]) for name in POSITION if name in query}  # type: ignore[attr-defined]
            request.GET = query  # type: ignore[assignment]
        return super().changelist_view(request, extra_context)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ConsoleList]:  # noqa: ARG002
        """The class of the list."""
        return ConsoleList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The object of a page, without what this user may not see."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.hide(request, found)
        return found

    def hide(self, request: HttpRequest, obj: Any) -> None:
        """Hide from this user what is personal, in an object that was read to be shown."""

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

    def start_of_list(self, request: HttpRequest) -> Any:  # noqa: ARG002
        """The key above which a filtered list has next to nothing, if the admin knows one."""
        return None

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


def _position(changes: ConsoleList, request: HttpRequest) -> keyset.Position:
    """The place in the list that the address names; else its beginning.

    Raises:
        IncorrectLookupParameters: it is no key.
    """
    given: dict[str, str] = request.position  # type: ignore[attr-defined]
    to_python = changes.lookup_opts.pk.to_python
    try:
        if given:
            return keyset.Position(**{name: to_python(key) for name, key in given.items()})
    except ValidationError as error:
        raise IncorrectLookupParameters(error) from None
    return keyset.Position(likely=changes.model_admin.start_of_list(request))
