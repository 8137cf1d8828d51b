"""How long `prep review` takes from a key to the next picture, in a headless browser: python -m benchmarks.review."""

import os
import statistics
import tempfile
from pathlib import Path

from tests.browser import browser
from tests.imports import ROOT
from tests.pipeline.review.conftest import COUNT, Server, write_project

# From the key to the frame in which the next sample is painted, in ms.
MEASURE = """() => new Promise(done => {
    const from = performance.now(), old = document.body.dataset.shown
    const look = () => document.body.dataset.shown === old ? requestAnimationFrame(look)
        : requestAnimationFrame(() => done(performance.now() - from))
    document.dispatchEvent(new KeyboardEvent('keydown', {key: 'r', bubbles: true}))
    look()
})"""
PAUSE_MS = 300  # a person who decides 1,000 samples an hour looks 3.6 s at each


def main() -> None:
    """Print the times of one pass through the queue."""
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(write_project(Path(folder)), "--as", "ann")
        with browser() as tab:
            page = tab(server.address).page
            page.wait_for_selector("body[data-shown='0']")
            times = []
            for _ in range(COUNT - 1):
                page.wait_for_timeout(PAUSE_MS)
                times.append(page.evaluate(MEASURE))
        server.kill()
    print(f"{len(times)} samples: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms")


if __name__ == "__main__":
    main()
