"""Pages as a person has them: Debian's Chromium without a window, what a page asked for and what its console said.

The fixture `tab` of conftest.py opens an address, from the disk or from a server on the loopback address:

    def test_it(tab):
        shown = tab(path.as_uri(), width_px=390, scheme="dark")
        shown.page.keyboard.press("Tab")
        assert shown.complaints == []
        assert shown.asked_beyond(path.parent.as_uri()) == []
        assert shown.overflow() == []
        assert shown.axe() == []
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It asks nobody for updates, and as root it has no sandbox.
QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
HEIGHT_PX = 900
# What is wider than the window and cannot be scrolled to in a box of its own.
OVERFLOW = """() => {
    const width = document.documentElement.clientWidth
    const boxed = element => {
        for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
            if (getComputedStyle(box).overflowX !== 'visible') return true
        return false
    }
    const wide = [...document.body.querySelectorAll('*')].filter(element => {
        const {left, right} = element.getBoundingClientRect()
        const out = right > left && (right > width + 1 || (left < -1 && right > 0))
        return out && element.checkVisibility() && !boxed(element)
    })
    if (document.documentElement.scrollWidth > width) wide.unshift(document.documentElement)
    return wide.map(element => `${element.tagName}.${element.getAttribute('class') ?? ''}#${element.id}`)
}"""


@dataclass
class Shown:
    """An open page, the addresses that it asked for, and the errors and warnings of its console."""

    page: Any  # playwright's Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def asked_beyond(self, *allowed: str) -> list[str]:
        """Return the requests whose address begins with none of these; data: and blob: are in the page already."""
        return [address for address in self.asked if not address.startswith((*allowed, "data:", "blob:"))]

    def overflow(self) -> list[str]:
        """Return the elements that make a person scroll sideways."""
        return self.page.evaluate(OVERFLOW)

    def axe(self, context: str | None = None, tags: tuple[str, ...] = ("wcag2a", "wcag2aa", "wcag21aa")) -> list[str]:
        """Return what axe-core finds: contrast below AA, controls without a name, and the other rules of these tags.

        Args:
            context: a CSS selector of the part to look at; None for the whole page.
            tags: the sets of rules; `best-practice` is another one.
        """
        from axe_playwright_python.sync_playwright import Axe

        options = {"runOnly": {"type": "tag", "values": list(tags)}, "resultTypes": ["violations"]}
        found = Axe().run(self.page, context, options).response["violations"]
        return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


Open = Callable[..., Shown]


@contextmanager
def browser() -> Iterator[Open]:
    """Yield a function that opens an address in a tab of its own; without Chromium the test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no {' or '.join(NAMES)} here; Debian's package is chromium")
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=[*QUIET, *root])

        def opened(address: str, *, width_px: int = 1400, scheme: Literal["light", "dark"] = "light") -> Shown:
            page = chromium.new_page(
                viewport={"width": width_px, "height": HEIGHT_PX}, color_scheme=scheme, reduced_motion="reduce"
            )
            page.set_default_timeout(10_000)
            shown = Shown(page)
            page.on("request", lambda request: shown.asked.append(request.url))
            page.on("pageerror", lambda error: shown.complaints.append(str(error)))
            page.on("console", lambda said: said.type in ("error", "warning") and shown.complaints.append(said.text))
            page.goto(address)
            return shown

        try:
            yield opened
        finally:
            chromium.close()
