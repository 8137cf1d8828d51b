"""`prep align`: find every face of a raw tree and warp it to the template."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.core.errors import DataError
from pipeline.core.folders import ALIGNED, MISSES, SAMPLES
from pipeline.core.names import DECIDED_ALIGN_NAME, SNAPSHOT_NAME
from pipeline.core.params import Params
from stages.decided import decided_table
from stages.ingest import ingest_choices, run_ingest
from stages.progress import bar
from stages.project import dataset_name, dataset_of, load_params
from stages.say import Fresh, note, say

if TYPE_CHECKING:
    from pipeline.core.lineage.snapshot import Snapshot


def align(
    src: Annotated[str, typer.Option(help="A raw tree: a folder or an archive, as the dataset ships.")],
    out: Annotated[Path | None, typer.Option(help="Where to write.  [default: data/aligned/<dataset>]")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="The samples that ingest wrote.  [default: data/samples/<dataset>]")
    ] = None,
    fresh: Fresh = False,
) -> None:
    """Find every face of a raw tree and warp it to the template; ingests the tree first where that was not done.

    Faces of an earlier run with the same pictures, parameters and code are taken over, part by part, whether it ended
    well or was killed.

    For data/aligned/<dataset> also writes runs/align/<dataset>.json: the misses, for `dvc metrics diff`.

    Runs in PREP_WORKERS processes, one for each core unless set, on the CPU unless PREP_DEVICE names a GPU (cuda,
    cuda:N, mps, auto), whose crops differ in their last bits.
    """
    from pipeline.align.stage import run as align_faces
    from pipeline.core.parallel.pool import worker_count
    from pipeline.core.parts import Resume

    params = load_params()
    dataset = dataset_name(params, src)
    samples, place = samples or SAMPLES / dataset, out or ALIGNED / dataset
    ensure_samples(params, src, samples)
    with bar(f"align {dataset}") as progress:
        summary = align_faces(
            samples,
            src,
            place,
            params.align_of(dataset),
            workers=worker_count(),
            contract=params.align,
            misses=MISSES / f"{dataset}.json" if place == ALIGNED / dataset else None,
            resume=Resume(fresh, note),
            decided=decided_table(dataset, DECIDED_ALIGN_NAME),
            progress=progress,
        )
    if summary["rows_in"] and not summary["rows_out"]:
        lost = ", ".join(f"{count} {reason}" for reason, count in summary["rejected"].items())
        raise DataError(f"{place}: none of {summary['rows_in']} faces aligned: {lost}; see its rejects")
    found = ", ".join(f"{name} {count}" for name, count in summary["found_by"].items())
    say(f"{dataset}: {summary['rows_out']} of {summary['rows_in']} faces aligned ({found})")


def ensure_samples(params: Params, src: str, samples: Path) -> None:
    """Ingest the raw tree unless its samples are there, of this very tree, and read as params.yaml has it now.

    In DVC they are a dependency, made by the stage before, and are not touched. A format that was given to
    `prep ingest` of the same tree stays where params.yaml has none.
    """
    from pipeline.core.lineage.snapshot import read_snapshot

    known = read_snapshot(samples) if (samples / SNAPSHOT_NAME).is_file() else None
    same = known is not None and os.path.realpath(known.inputs[0].path) == os.path.realpath(src)
    given = str(known.params.get("format", "auto")) if known and same and dataset_of(params, src) is None else "auto"
    if known is None or not _is_current(known, params, src, given):
        run_ingest(params, src, format=given, out=samples)


def _is_current(known: "Snapshot", params: Params, src: str, given: str) -> bool:
    """Say whether samples are those that an ingest would write now; the tree is hashed only if all else agrees."""
    from pipeline.core.lineage.identity import identity
    from pipeline.ingest.stage import recorded_params

    if dict(known.params) != recorded_params(**ingest_choices(params, src, given)) or not Path(src).exists():
        return False
    return known.inputs[0].md5 == identity(Path(src))
