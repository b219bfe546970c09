"""The switches of one service as a form, and some settings worth trying."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

SECOND = 1000
"""Milliseconds."""


class Slider(forms.NumberInput):
    """A number between two ends."""

    input_type = "range"


def _share(label: Any, help_text: Any) -> forms.IntegerField:
    """A slider for so many percent."""
    return forms.IntegerField(label=label, help_text=help_text, min_value=0, max_value=100, widget=Slider)


class FaultsForm(forms.Form):
    """How a service misbehaves. Shares are in percent here, and from 0 to 1 in the sandbox."""

    down = forms.BooleanField(
        label=_("Down"), required=False, help_text=_("Refuses every request, before it acts.")
    )
    error_rate = _share(_("Errors"), _("Percent of requests that fail before the service acts."))
    lost_response_rate = _share(
        _("Lost answers"), _("Percent of requests whose answer is lost after the service acted.")
    )
    decline_rate = _share(_("Declines"), _("Percent of charges (or shipments) that are refused for good."))
    latency_ms = forms.IntegerField(
        label=_("Latency"),
        min_value=0,
        max_value=10 * SECOND,
        step_size=100,
        widget=Slider,
        help_text=_("Milliseconds before the service acts."),
    )

    def switches(self) -> dict[str, Any]:
        """As the sandbox takes them."""
        given = self.cleaned_data
        shares = {name: given[name] / 100 for name in SHARES}
        return {**shares, "latency_ms": given["latency_ms"], "down": given["down"]}


SHARES = ("error_rate", "lost_response_rate", "decline_rate")


@dataclass(frozen=True)
class Preset:
    """Switches under a name."""

    name: str
    label: Any
    switches: Mapping[str, Any]


PRESETS = (
    Preset("well", _("All well"), {}),
    Preset("half", _("Fails half the time"), {"error_rate": 0.5}),
    Preset("down", _("Down"), {"down": True}),
    Preset("slow", _("Slow"), {"latency_ms": 2 * SECOND}),
    Preset("silent", _("Loses answers"), {"lost_response_rate": 0.5}),
    Preset("declines", _("Declines half the time"), {"decline_rate": 0.5}),
)


def initial(faults: Mapping[str, Any]) -> dict[str, Any]:
    """A service's switches as the form has them."""
    shares = {name: round(100 * faults[name]) for name in SHARES}
    return {**shares, "latency_ms": faults["latency_ms"], "down": faults["down"]}


def in_words(switches: Mapping[str, Any]) -> str:
    """What is switched on, in the reader's language: short, and the same for a form and a preset."""
    on = [gettext("down")] if switches.get("down") else []
    texts = (gettext("%(share)s errors"), gettext("%(share)s lost answers"), gettext("%(share)s declines"))
    shares = zip(SHARES, texts, strict=True)
    on += [text % {"share": f"{switches[name]:.0%}"} for name, text in shares if switches.get(name)]
    if switches.get("latency_ms"):
        on.append(gettext("%(time)s ms latency") % {"time": switches["latency_ms"]})
    return ", ".join(on) or gettext("all well")
