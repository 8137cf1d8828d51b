"""The pictures of the pages in docs/, taken of the demo in a headless browser: `make screenshots`, after `make repro`.

Every face is made coarse before the browser gets it, so that no picture of a face is in the repository: rendered faces,
too, come from the portrait of a person.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from PIL import Image

from pipeline.core.folders import REPORT
from tests.browser import Shown, browser
from tests.imports import ROOT
from tests.pipeline.review.conftest import Server

OUT: Final = ROOT / "docs"
BLOCKS: Final = 9  # a face across
PHONE_PX, SETTLED_MS = 390, 500
COLOURS: Final = 128
# Name of the picture -> what of the data card it shows.
PARTS: Final[Mapping[str, str]] = {"report-doubt": "#doubt", "report-rows": "#rows", "report-dataset": "#dataset-2"}


def main() -> None:
    """Write docs/report.png, others of its parts, and docs/review.png."""
    page = (Path.cwd() / REPORT / "index.html").as_uri()
    with browser() as tab:
        card = coarse(tab(page), "**/*.jpg")
        save("report", card.screenshot())
        card.locator("#dataset-2 details.rejects").nth(1).evaluate("one => one.open = true")
        for name, part in PARTS.items():
            shown = card.locator(part)
            shown.scroll_into_view_if_needed()
            card.wait_for_timeout(SETTLED_MS)
            save(name, shown.screenshot())
        save("report-phone", coarse(tab(page, width_px=PHONE_PX), "**/*.jpg").screenshot())
        server = Server(Path.cwd(), "--as", "ann")
        try:
            review = coarse(tab(server.address), "**/crop/**", "**/picture/**")
            review.wait_for_selector("body[data-shown]")
            review.wait_for_timeout(SETTLED_MS)
            save("review", review.screenshot())
        finally:
            server.kill()


def save(name: str, content: bytes) -> None:
    """Write a PNG of few colours to docs/."""
    few = Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(OUT / f"{name}.png", optimize=True)


def coarse(shown: Shown, *addresses: str) -> Any:
    """Open a page again with all pictures at these addresses in blocks."""
    for address in addresses:
        shown.page.route(address, _answer)
    shown.page.reload()
    return shown.page


def _answer(route: Any) -> None:
    address = urlsplit(route.request.url)
    content = Path(unquote(address.path)).read_bytes() if address.scheme == "file" else route.fetch().body()
    route.fulfill(body=blocks(content), content_type="image/jpeg")


def blocks(content: bytes) -> bytes:
    """Return a JPEG of the same size in squares, `BLOCKS` of them along its shorter side."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    side = min(picture.size) / BLOCKS
    small = picture.resize([round(length / side) for length in picture.size], Image.Resampling.BOX)
    written = io.BytesIO()
    small.resize(picture.size, Image.Resampling.NEAREST).save(written, "JPEG", quality=90)
    return written.getvalue()


if __name__ == "__main__":
    main()
