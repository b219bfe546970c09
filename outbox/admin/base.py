"""The admin that all pages of the console build upon: for reading, with operations instead of editing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

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
    compressed_fields = True

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one object."""
        response: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        context = getattr(response, "context_data", None)
        if context and (obj := context.get("original")) is not None:
            context["offered"] = self.offered(request, obj)
            context["sections"] = list(self.sections(request, obj))
        return response

    def sections(self, request: HttpRequest, obj: Any) -> Iterable[Section]:  # noqa: ARG002
        """Parts of the page below the fields."""
        return ()
