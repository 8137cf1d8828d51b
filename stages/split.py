"""`prep split`: who trains, who validates, who tests."""

from pathlib import Path
from typing import Annotated

import typer

from stages.progress import bar
from stages.project import ALIGNED, LABELS, SPLIT, load_params, own_folders


def split(
    aligned: Annotated[Path, typer.Option(help="Folder with the aligned faces of each dataset.")] = ALIGNED,
    labels: Annotated[Path, typer.Option(help="Folder with the labels of each dataset.")] = LABELS,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = SPLIT,
) -> None:
    """Share the samples of all datasets out so that no person, sequence or picture is in two splits.

    Reads the faces and labels of every dataset in params.yaml; writes split.parquet, links.parquet and
    certificate.json.
    """
    from pipeline.split import split as split_datasets
    from pipeline.workers import worker_count

    params = load_params()
    roles = {name: dataset.role for name, dataset in params.datasets.items()}
    with bar("split") as progress:
        summary = split_datasets(
            own_folders(params, aligned),
            own_folders(params, labels),
            roles,
            out,
            params.split,
            seed=params.seed,
            workers=worker_count(),
            progress=progress,
        )
    counts = ", ".join(f"{count} {name}" for name, count in summary["splits"].items())
    crossing = sum(summary["crossing"].values())
    typer.echo(f"{out}: {counts} in {summary['groups']} groups; {crossing} cross")
