"""`prep doubt`: rank all labelled faces by how doubtful they are."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages import project
from stages.progress import bar
from stages.say import say


def doubt(
    aligned: Annotated[Path, typer.Option(help="Folder with the aligned faces of each dataset.")] = folders.ALIGNED,
    labels: Annotated[Path, typer.Option(help="Folder with the labels of each dataset.")] = folders.LABELS,
    split: Annotated[Path, typer.Option(help="Folder with split.parquet.")] = folders.SPLIT,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = folders.DOUBT,
) -> None:
    """Say which samples a person should look at first: wrong labels, contradicting copies, outliers, bad crops.

    Every labelled face is answered by what has learned from nobody of its group. Writes doubt.parquet, the most
    doubtful first, each with its reason, and embedding.parquet, a map of faces that look alike.
    """
    from pipeline.core.parallel.pool import worker_count
    from pipeline.doubt.stage import run as rank

    params = project.load_params()
    project.check_made(split)
    with bar("doubt") as progress:
        summary = rank(
            project.own_folders(params, aligned),
            project.own_folders(params, labels),
            split,
            out,
            params.doubt,
            copy=params.split.contradiction_similarity,
            seed=params.seed,
            workers=worker_count(),
            progress=progress,
        )
    counts = ", ".join(f"{count} {reason}" for reason, count in summary["reasons"].items())
    found = f"more doubtful than not: {counts}" if summary["rows_out"] else "no face has a class to doubt"
    say(f"{out}: {summary['rows_out']} faces ranked; {found}")
