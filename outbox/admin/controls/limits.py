"""Rate limits: seen by all, set and lifted by who may control the relays."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
)

from outbox import controls
from outbox.admin.base import shown
from outbox.admin.controls.base import PERMISSION, ControlAdmin, end_each, operator
from outbox.admin.links import messages_url
from outbox.admin.message_form import SuggestingInput
from outbox.admin.operations import Operation
from outbox.admin.rendering import anchor, distance, long_text
from outbox.conf import conf
from outbox.models import RateLimit

LIFT = Operation(
    name="lift",
    label=_("Lift"),
    permission=PERMISSION,
    perform=partial(
        end_each,
        lambda: RateLimit.objects.using(conf().DATABASE),
        lambda limit, user: controls.lift_limit(limit.type, by=user),
    ),
    applies=lambda _limit: True,
    question=ngettext_lazy("Lift %(count)d rate limit?", "Lift %(count)d rate limits?", "count"),
    explanation=_("What it had put off is due again, oldest first."),
    done=ngettext_lazy("%(count)d rate limit was lifted.", "%(count)d rate limits were lifted.", "count"),
    refused=ngettext_lazy(
        "%(count)d rate limit was lifted already.", "%(count)d rate limits were lifted already.", "count"
    ),
)


class RateLimitForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    """How many of what, and why. An earlier limit of the type is replaced."""

    type = forms.CharField(
        label=_("Type"),
        max_length=controls.LONGEST,
        widget=SuggestingInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Of the messages. An earlier limit of this type is replaced."),
    )
    per_second = forms.FloatField(
        label=_("At most per second"),
        min_value=0.001,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("By all relays together; 0.1 is one in ten seconds."),
    )
    burst = forms.IntegerField(
        label=_("At once"),
        required=False,
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("How many may go at once after a quiet time. Empty: a second's worth."),
    )
    reason = forms.CharField(
        label=_("Reason"), max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )

    class Meta:
        model = RateLimit
        fields = ("type", "per_second", "burst", "reason")

    def _post_clean(self) -> None:
        """The row is made by :mod:`outbox.controls`, which fills in what the form leaves empty."""


@admin.register(RateLimit)
class RateLimitAdmin(ControlAdmin):
    """Which types are limited, to how many, by whom and why."""

    operations = (LIFT,)
    list_display = ("name", "rate", "at_once", "why", "who", "since", "waiting")
    fieldsets = ((None, {"fields": ("name", ("rate", "at_once"), "why", ("who", "since"), "waiting")}),)
    add_fieldsets = ((None, {"fields": ("type", ("per_second", "burst"), "reason")}),)

    name = shown("type", _("type"), str)
    rate = shown("per_second", _("at most per second"), lambda rate: f"{rate:g}")
    at_once = shown("burst", _("at once"), str)
    why = shown("reason", _("reason"), long_text)
    who = shown("set_by", _("set by"), str)
    since = shown("set_at", _("set"), distance)

    @admin.display(description=_("messages"))
    def waiting(self, limit: RateLimit) -> SafeString:
        """A link to those that wait."""
        return anchor(messages_url(type=limit.type, state="pending"), str(_("those that wait")))

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form that limits."""
        if obj is None:
            kwargs |= {"form": RateLimitForm, "fields": RateLimitForm.Meta.fields}
        return super().get_form(request, obj, change=change, **kwargs)

    def put_in_force(self, request: HttpRequest, given: dict[str, Any]) -> RateLimit:
        """Limit. A name that nobody knows is taken, with a word about it."""
        if doubt := controls.doubts("type", given["type"]):
            messages.warning(request, doubt)
        return controls.set_limit(
            given["type"],
            given["per_second"],
            given["reason"],
            burst=given["burst"],
            by=operator(request),
        )
