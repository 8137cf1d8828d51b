"""How long an hour of video takes on one core: ingest lists its frames, and align decodes, searches and crops them.

A few minutes of 640x480 video at 25 frames a second are encoded from the demo's faces, of which 5 a second are used.
The time is that of the processor, so other work on the machine matters less. Two lengths are measured, because what
starting takes counts once and not for each minute.
"""

import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

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
    minutes: Annotated[float, typer.Option(help="Length of the longer of two videos.")] = 2.0,
) -> None:
    """Encode two videos, run both stages on each with one worker, and print seconds for an hour of video."""
    lengths = minutes / 4, minutes
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder) / "first", lengths[0])  # unmeasured: it imports the stages
        runs = [_run(Path(folder) / str(number), length) for number, length in enumerate(lengths)]
    for stage in ("ingest", "align"):
        short, long = (run[stage] for run in runs)
        each = (long - short) / (lengths[1] - lengths[0])
        start = max(0.0, short - each * lengths[0])
        print(f"{stage}: {start + 60 * each:.0f} s of one core for an hour of video, {start:.1f} s of them to start")


def _run(root: Path, minutes: float) -> dict[str, float]:
    """Return the processor time (s) of each stage on a video of some minutes."""
    count = round(minutes * 60 * _FPS)
    for label in ("Happy", "Anger"):
        path = root / "raw" / label / "a.mp4"
        write_video(path, _frames(count // 2), range(0, 10**9, 1000 // _FPS), preset="veryfast")
    params = read_params(Path("params.yaml"))
    begun = _processor_s()
    ingest(str(root / "raw"), root / "s", params.ingest, dataset="b", fmt="auto")
    listed = _processor_s()
    summary = align(root / "s", str(root / "raw"), root / "a", params.align, workers=1)
    aligned = _processor_s()
    missed, found = summary["missed"], summary["found_by"]
    print(f"{minutes:g} minutes: {summary['rows_in']} frames, {missed} missed, found by {found}")
    return {"ingest": listed - begun, "align": aligned - listed}


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
