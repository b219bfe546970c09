"""The form that adds a message by hand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from outbox import known
from outbox.admin.adding import Unusable, check_payload, parse_payload
from outbox.exceptions import UnknownType
from outbox.models import Message


class SuggestingInput(UnfoldAdminTextInputWidget):
    """A text field that suggests what is known, by the browser's own ``datalist``."""

    template_name = "admin/console/suggesting_input.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The field, its list, and what connects them."""
        list_id = f"{name}-suggestions"
        context: dict[str, Any] = super().get_context(name, value, {**(attrs or {}), "list": list_id})
        return {**context, "list_id": list_id, "suggestions": known.types()}


class PayloadField(forms.CharField):
    """A JSON object; one without members is an object, too."""

    empty_values = (None, "")

    def to_python(self, value: Any) -> Any:
        """The object that was typed."""
        text = super().to_python(value)
        if not text:
            return text
        try:
            return parse_payload(text)
        except Unusable as error:
            raise ValidationError(str(error)) from None


class MessageForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    """Type, payload, and when it is due."""

    type = forms.CharField(
        max_length=200,
        label=_("Type"),
        widget=SuggestingInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("An event, such as orders.order_paid (every subscriber gets it), or a task."),
    )
    payload = PayloadField(
        label=_("Payload"),
        initial="{}",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "spellcheck": "false", "class": "console-code"}),
        help_text=_("A JSON object: the event's fields, or the task's keyword arguments."),
    )
    correlation_id = forms.CharField(
        max_length=64,
        required=False,
        label=_("Correlation id"),
        widget=UnfoldAdminTextInputWidget,
        help_text=_("What it belongs to, such as an order's id."),
    )
    due_at = forms.SplitDateTimeField(
        required=False,
        label=_("Due at"),
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text=_("Not before this time (UTC). Empty: at once."),
    )

    class Meta:
        model = Message
        fields = ("type", "payload", "correlation_id")

    def clean_type(self) -> str:
        """The type, which somebody handles."""
        name = str(self.cleaned_data["type"])
        try:
            known.require_type(name)
        except UnknownType as error:
            raise ValidationError(str(error)) from None
        return name

    def clean(self) -> dict[str, Any]:
        """The payload fits the type."""
        cleaned = super().clean() or self.cleaned_data
        if "type" in cleaned and "payload" in cleaned:
            try:
                check_payload(cleaned["type"], cleaned["payload"])
            except Unusable as error:
                self.add_error("payload", str(error))
        return cleaned
