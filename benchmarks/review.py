"""How long `prep review` takes from a key to the next picture, in a headless browser: python -m benchmarks.review."""

import math
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.browser import browser
from tests.imports import ROOT
from tests.pipeline.review.conftest import Server, write_project

QUEUE, CROP_PX, PRESSES = 10_000, 224, 100
# From the key to the frame in which the next sample is painted, in ms.
MEASURE = """key => new Promise(done => {
    const from = performance.now(), old = document.body.dataset.shown
    const look = () => document.body.dataset.shown === old ? requestAnimationFrame(look)
        : requestAnimationFrame(() => done(performance.now() - from))
    document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))
    look()
})"""
PAUSE_MS = 300  # a person who decides 1,000 samples an hour looks 3.6 s at each


def main() -> None:
    """Print the times of a pass through the first samples of a long queue, and of a second one through the same."""
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        project = write_project(Path(folder), QUEUE, CROP_PX)
        begun = time.monotonic()
        server = Server(project, "--as", "ann", "--limit", str(QUEUE))
        print(f"a queue of {QUEUE}: the address is printed after {time.monotonic() - begun:.1f} s")
        with browser() as tab:
            page = tab(server.address).page
            page.wait_for_selector("body[data-shown='0']")
            print(f"the first picture is shown after {time.monotonic() - begun:.1f} s")
            tell("cold, each decided", press(page, "r"))
            press(page, "ArrowLeft", 0)
            tell("warm, each decided", press(page, "r"))
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8"))
        server.kill()
    print(f"the server took {int(peak[1]) / 1024 if peak else math.nan:.0f} MiB at most")


def press(page: Any, key: str, pause_ms: int = PAUSE_MS) -> list[float]:
    """Press a key again and again; return the ms until each next sample was painted."""
    times = []
    for _ in range(PRESSES):
        page.wait_for_timeout(pause_ms)
        times.append(float(page.evaluate(MEASURE, key)))
    return times


def tell(what: str, times: list[float]) -> None:
    """Print the middle, the 95th percentile and the worst."""
    middle, most = np.percentile(times, [50, 95])
    print(f"{what}: {len(times)} samples, median {middle:.0f} ms, p95 {most:.0f} ms, worst {max(times):.0f} ms")


if __name__ == "__main__":
    main()
