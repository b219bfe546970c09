"""Pauses: seen by all, made and ended by who may control the relays."""

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
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from outbox import controls
from outbox.admin.base import shown
from outbox.admin.controls.base import PERMISSION, ControlAdmin, end_each, operator
from outbox.admin.dashboard.panels import counted
from outbox.admin.links import messages_url
from outbox.admin.operations import Operation
from outbox.admin.rendering import anchor, distance, long_text
from outbox.conf import conf
from outbox.models import Message, Pause

SCOPES = {"type": _("Type"), "queue": _("Queue"), "key": _("Key")}

RESUME = Operation(
    name="resume",
    label=_("Resume"),
    permission=PERMISSION,
    perform=partial(
        end_each,
        lambda: Pause.objects.using(conf().DATABASE),
        lambda pause, user: controls.resume(pause.scope, pause.value, by=user),
    ),
    applies=lambda _pause: True,
    question=ngettext_lazy("Resume %(count)d pause?", "Resume %(count)d pauses?", "count"),
    explanation=_("What waited for it is due again, oldest first."),
    done=ngettext_lazy(
        "%(count)d pause was ended: its messages are due again.",
        "%(count)d pauses were ended: their messages are due again.",
        "count",
    ),
    refused=ngettext_lazy(
        "%(count)d pause had ended already.", "%(count)d pauses had ended already.", "count"
    ),
)


class PauseForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    """What to pause, and why."""

    scope = forms.ChoiceField(label=_("Scope"), choices=list(SCOPES.items()), widget=UnfoldAdminSelectWidget)
    value = forms.CharField(
        label=_("Name"),
        max_length=controls.LONGEST,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Of the type, the queue or the key, such as orders.payment.charge."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("Shown to whoever wonders why nothing is sent."),
    )

    class Meta:
        model = Pause
        fields = ("scope", "value", "reason")

    def _post_clean(self) -> None:
        """Left to :mod:`outbox.controls`, which says who paused it already, and why."""


@admin.register(Pause)
class PauseAdmin(ControlAdmin):
    """What is paused, since when, by whom and why."""

    operations = (RESUME,)
    list_display = ("what", "held", "why", "who", "since")
    fieldsets = ((None, {"fields": ("what", "held", "why", ("who", "since"))}),)
    add_fieldsets = ((None, {"fields": ("scope", "value", "reason")}),)

    why = shown("reason", _("reason"), long_text)
    who = shown("paused_by", _("paused by"), str)
    since = shown("paused_at", _("paused"), distance)

    @admin.display(description=_("paused"))
    def what(self, pause: Pause) -> str:
        """Scope and name."""
        return f"{SCOPES[pause.scope]}: {pause.value}"

    @admin.display(description=_("holds back"))
    def held(self, pause: Pause) -> SafeString | str:
        """How many messages it has met so far. Others are held back when they become due."""
        number, text = counted(Message.objects.using(conf().DATABASE).filter(waits_for=pause.pk))
        filters = {pause.scope: pause.value, "state": "waiting"}
        return anchor(messages_url(**filters), text) if number else text

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form that pauses."""
        if obj is None:
            kwargs |= {"form": PauseForm, "fields": PauseForm.Meta.fields}
        return super().get_form(request, obj, change=change, **kwargs)

    def put_in_force(self, request: HttpRequest, given: dict[str, Any]) -> Pause:
        """Pause. A name that nobody knows is taken, with a word about it."""
        if doubt := controls.doubts(given["scope"], given["value"]):
            messages.warning(request, doubt)
        return controls.pause(
            given["scope"],
            given["value"],
            given["reason"],
            by=operator(request),
        )
