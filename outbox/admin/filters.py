"""Filters as fields of one form, so that they combine, and live in the address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget


class FieldFilter(admin.SimpleListFilter):
    """A filter that is one field of the form of filters."""

    template = "unfold/filters/filters_field.html"

    def field(self) -> forms.Field:
        """The field."""
        raise NotImplementedError

    def has_output(self) -> bool:
        """Always: a filter that comes and goes is hard to find."""
        return True

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # noqa: ARG002
        """What Unfold's template draws: a form with the one field."""
        form = forms.Form({str(self.parameter_name): self.value()}, auto_id="filter-%s")
        form.fields[str(self.parameter_name)] = self.field()
        yield {"form": form}


class ChoiceFilter(FieldFilter):
    """One of the ``lookups``, or all. Also offers what the address names, so that the form says what is shown."""

    def field(self) -> forms.Field:
        """A list to choose from."""
        offered: Iterable[Any] = [("", _("All")), *self.lookup_choices]
        return forms.ChoiceField(
            choices=offered, required=False, label=capfirst(self.title), widget=UnfoldAdminSelectWidget
        )


class TextFilter(FieldFilter):
    """A text that is typed."""

    help_text: Any = ""

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """None: it is typed."""
        return []

    def field(self) -> forms.Field:
        """A line of text."""
        return forms.CharField(
            required=False,
            label=capfirst(self.title),
            help_text=self.help_text,
            widget=UnfoldAdminTextInputWidget,
        )

    def value(self) -> str:
        """What was typed, without the space around it."""
        return (super().value() or "").strip()
