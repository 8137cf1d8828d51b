"""How long an hour of video takes on one core: ingest lists its frames, and align decodes, searches and crops them.

A few minutes of 640x480 video at 25 frames a second are encoded from the demo's faces, of which 5 a second are used.
The time is that of the processor, so other work on the machine matters little, and it is scaled to an hour.
"""

import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from pipeline.align.stage import run as align
from pipeline.core.emotions import Emotion
from pipeline.core.params import read_params
from pipeline.demo.clips import decode, plan_clip, write_video
from pipeline.demo.portrait import Pixels
from pipeline.demo.scene import take_all
from pipeline.ingest.stage import run as ingest

_FPS = 25
_RENDERED = 8  # frames that are rendered; the others are these, moved by a few pixels


def main(
    minutes: Annotated[float, typer.Option(help="Length of the video; the result is scaled to an hour.")] = 2.0,
) -> None:
    """Encode the video, run both stages with one worker, and print seconds per hour of video."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        count = round(minutes * 60 * _FPS)
        for label in ("Happy", "Anger"):
            path = root / "raw" / label / "a.mp4"
            write_video(path, _frames(count // 2), range(0, 10**9, 1000 // _FPS), preset="veryfast")
        params = read_params(Path("params.yaml"))
        spent: dict[str, tuple[float, float]] = {}
        rows: dict[str, Any] = {}
        for stage, run in (
            ("ingest", lambda: ingest(str(root / "raw"), root / "s", params.ingest, dataset="b", fmt="auto")),
            ("align", lambda: align(root / "s", str(root / "raw"), root / "a", params.align, workers=1)),
        ):
            before, start = _processor_s(), perf_counter()
            rows = run()
            spent[stage] = _processor_s() - before, perf_counter() - start
        scale = 60 / minutes
        for stage, (processor, clock) in spent.items():
            used, passed = (round(seconds * scale) for seconds in (processor, clock))
            print(f"{stage}: {used} s of one core for an hour of video, {passed} s by the clock")
        print(f"{rows['rows_in']} frames, {rows['missed']} missed, found by {rows['found_by']}")


def _frames(count: int) -> Iterator[Pixels]:
    plan = plan_clip("001", "actor", Emotion.anger, _RENDERED, 7)
    faces = [decode(photo) for photo in take_all(plan.shots)]
    for number in range(count):
        phase = number % (2 * _RENDERED)
        face = faces[min(phase, 2 * _RENDERED - 1 - phase)]
        yield np.roll(face, round(40 * np.sin(number / 40)), axis=1)


def _processor_s() -> float:
    """Return the processor time of this process and of the workers that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    typer.run(main)
