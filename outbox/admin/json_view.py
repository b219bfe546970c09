"""JSON for reading: indented and coloured by the server, so that the page needs no script."""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

MOST_CHARACTERS = 50_000
"""Shown of one value. More would only make the page slow; the database has the rest."""

TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=:)|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>\b(?:true|false|null)\b)"
)


def pretty_json(value: Any) -> SafeString:
    """A JSON value as a block of coloured lines."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    rest = len(text) - MOST_CHARACTERS
    shown = _coloured(text[:MOST_CHARACTERS])
    if rest > 0:
        shown += escape("\n… " + _("and %d more characters") % rest)
    return format_html('<pre class="console-json" tabindex="0">{}</pre>', shown)


def _coloured(text: str) -> SafeString:
    """Wrap each token; what is between tokens is punctuation and space, and harmless."""
    parts, end = [], 0
    for match in TOKEN.finditer(text):
        parts.append(escape(text[end : match.start()]))
        parts.append(format_html('<span class="json-{}">{}</span>', match.lastgroup, match.group()))
        end = match.end()
    parts.append(escape(text[end:]))
    return SafeString("".join(parts))
