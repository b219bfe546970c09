"""Looks at a page: as assistive technology does, and by taking pictures of it."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS = {"narrow": 360, "wide": 1440}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NOT_TOLERATED = ("serious", "critical")
PICTURES = os.environ.get("SCREENSHOTS", "")
AXE = Axe()


def look_around(page: Page, name: str, *, again: bool = False) -> None:
    """Look at the page that is open, narrow and wide, light and dark.

    ``again``: load it anew for each look, for pages that ask for the scheme only once.

    Nothing is serious in the eyes of axe-core, nothing is wider than the window. Where SCREENSHOTS names a directory,
    pictures are put there; elsewhere narrow is looked at in light and wide in dark, to be quick.
    """
    views = list(product(WIDTHS, SCHEMES)) if PICTURES else list(zip(WIDTHS, SCHEMES, strict=True))
    for width, scheme in views:
        page.set_viewport_size({"width": WIDTHS[width], "height": 900})
        page.emulate_media(color_scheme=scheme)
        if again:
            page.reload(wait_until="networkidle")
        assert barriers(page) == [], (name, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, width)
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(PICTURES) / f"{name}-{width}-{scheme}.png", full_page=True)


def barriers(page: Page) -> list[str]:
    """What keeps people out: each rule that is broken, with the elements that break it."""
    violations = AXE.run(page).response["violations"]
    return [
        f"{found['id']}: {[node['html'][:120] for node in found['nodes']]}"
        for found in violations
        if found["impact"] in NOT_TOLERATED
    ]
