"""The stage: plan the demo's raw trees in one process, render their photographs in several, write them in order."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.core.parallel.pool import Progress, map_ordered, no_progress, worker_count
from pipeline.core.params import DemoParams
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import rows_to_table
from pipeline.demo import afewva, affectnet, ckplus, emotic, rafdb
from pipeline.demo.scene import Photo, Shot, take_all
from pipeline.demo.truth import TRUTH, TRUTH_NAME

_TOOLS: Final = ("numpy", "opencv-python-headless", "scikit-image", "scipy")
# A process renders neighbours together, because they show the same person, whose look it keeps.
_SHOTS_PER_JOB: Final = 16
# The share of the faces that each dataset gets.
# Those of AFEW-VA are beyond `params.faces`, which counts faces with a class.
_SHARES: Final = {"affectnet": 2 / 3, "ckplus": 0.16, "rafdb": 0.0875, "emotic": 0.0875, "afewva": 0.24}


def run(
    out: Path, params: DemoParams, *, workers: int | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Render the five raw trees and `truth.parquet` into `out`.

    Args:
        out: the folder to write; replaced if it is an output of this stage.
        params: number of faces and seed.
        workers: processes; the bytes do not depend on it.
        progress: called as pictures are rendered.

    Returns:
        The summary: the faces of each dataset.

    Raises:
        OutputError: the folder is in use, is not ours, or the disk is full.
        DataError: scikit-image ships another portrait.
    """
    counts = {name: round(params.faces * share) for name, share in _SHARES.items()}
    affect = affectnet.build_rows(counts[affectnet.NAME], params.seed)
    frames = ckplus.build_rows(counts[ckplus.NAME], params.seed)
    basic = rafdb.build_rows(counts[rafdb.NAME], params.seed)
    scenes = emotic.build_rows(counts[emotic.NAME], params.seed)
    clips = afewva.build_rows(counts[afewva.NAME], params.seed)
    with stage_output(out, stage="demo", sources=[], params=params.plain(), tools=_TOOLS) as output:
        shots = [
            *(row.shot for row in affect),
            *(row.shot for row in frames),
            *(row.shot for row in basic),
            *(row.shot for row in scenes),
            *(row.shot for row in clips),
        ]
        photos = _take(shots, workers or worker_count(), progress)
        truths = [
            *affectnet.write(output.folder / affectnet.NAME, affect, photos),
            *ckplus.write(output.folder / ckplus.NAME, frames, photos),
            *rafdb.write(output.folder / rafdb.NAME, basic, photos),
            *emotic.write(output.folder / emotic.NAME, scenes, photos),
            *afewva.write(output.folder / afewva.NAME, clips, photos),
        ]
        truths.sort(key=lambda truth: (truth.dataset, truth.source_path, truth.n))
        output.write_table(TRUTH_NAME, rows_to_table([truth.row() for truth in truths], TRUTH))
        faces = Counter(truth.dataset for truth in truths if truth.points is not None)
        return output.finish(rows_in=len(truths), rows_out=len(truths), faces=dict(sorted(faces.items())))


def _take(shots: Sequence[Shot], workers: int, progress: Progress) -> dict[str, Photo]:
    jobs = [tuple(shots[start : start + _SHOTS_PER_JOB]) for start in range(0, len(shots), _SHOTS_PER_JOB)]
    photos: dict[str, Photo] = {}
    for taken in map_ordered(take_all, jobs, workers):
        photos.update((photo.path, photo) for photo in taken)
        progress(len(photos), len(shots), "pictures")
    return photos
