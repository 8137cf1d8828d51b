"""`prep ingest`: a raw tree as it ships, to one table of samples."""

from pathlib import Path
from typing import Annotated

import typer

from stages import project
from stages.progress import bar


def ingest(
    src: Annotated[str, typer.Option(help="A raw tree: a folder, an archive or a folder of archives, as it ships.")],
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="A name of `prep formats`; auto: as params.yaml says, else recognised by its layout.")
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Where to write.  [default: data/samples/<dataset>]", show_default=False)
    ] = None,
    accept_mismatch: Annotated[
        bool, typer.Option("--accept-mismatch", help="Read it although its counts are not those of the release.")
    ] = False,
) -> None:
    """Read a raw tree: one row a face, with all that the dump says of it, and why any row was left out."""
    from pipeline.ingest import ingest as ingest_tree
    from pipeline.params import TableDataset

    params = project.load_params()
    dataset = project.dataset_name(params, src)
    entry = params.datasets.get(dataset)
    known = entry if entry is not None and entry.src.rstrip("/") == src.rstrip("/") else None
    with bar(f"ingest {dataset}") as progress:
        summary = ingest_tree(
            src,
            out or project.SAMPLES / dataset,
            dataset=dataset,
            fmt=known.format if known and format == "auto" else format,
            params=params.ingest,
            columns=known.named_columns() if isinstance(known, TableDataset) else None,
            accept_mismatch=accept_mismatch,
            progress=progress,
        )
    for note in summary["notes"]:
        typer.echo(f"note: {note}", err=True)
    rejected = ", ".join(f"{count} {reason}" for reason, count in summary["rejected"].items())
    typer.echo(
        f"{dataset}: {summary['rows_out']} of {summary['rows_in']} rows read as {summary['format']} "
        f"({summary['recognised']}); left out: {rejected or 'none'}"
    )
