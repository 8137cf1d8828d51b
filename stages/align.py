"""`prep align`: every face of a raw tree, found and brought to the template."""

from pathlib import Path
from typing import Annotated

import typer

from stages.progress import bar
from stages.project import ALIGNED, SAMPLES, dataset_name, load_params


def align(
    src: Annotated[str, typer.Option(help="A raw tree: a folder or an archive, as the dataset ships.")],
    out: Annotated[Path | None, typer.Option(help="Where to write.  [default: data/aligned/<dataset>]")] = None,
) -> None:
    """Find every face of a raw tree and warp it to the template; ingests the tree first where that was not done."""
    from pipeline.faces.align import align as align_faces
    from pipeline.workers import worker_count

    params = load_params()
    dataset = dataset_name(params, src)
    samples = SAMPLES / dataset
    ensure_samples(src, samples)
    with bar(f"align {dataset}") as progress:
        summary = align_faces(
            samples, src, out or ALIGNED / dataset, params.align, workers=worker_count(), progress=progress
        )
    found = ", ".join(f"{name} {count}" for name, count in summary["found_by"].items())
    typer.echo(f"{dataset}: {summary['rows_out']} of {summary['rows_in']} faces aligned ({found or 'none found'})")


def ensure_samples(src: str, samples: Path) -> None:
    """Ingest the raw tree unless its samples are there and are of this very tree.

    In DVC they are a dependency, made by the stage before, and are not touched.
    """
    from pipeline.lineage.identity import identity
    from pipeline.lineage.snapshot import SNAPSHOT_NAME, read_snapshot
    from stages.ingest import ingest

    known = read_snapshot(samples).inputs[0].md5 if (samples / SNAPSHOT_NAME).is_file() else None
    if known is None or not Path(src).exists() or known != identity(Path(src)):
        ingest(src, out=samples)
