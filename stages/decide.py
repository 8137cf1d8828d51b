"""`prep decide`: read what people decided about a dataset's samples, and what a stage is told of it."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.folders import DECIDED, DECIDED_COUNTS, DECISIONS, FORGOTTEN
from stages import project
from stages.decided import SUFFIX, book_of
from stages.progress import bar
from stages.say import say


def decide(
    src: Annotated[Path, typer.Option(help="A folder of samples, as ingest writes it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Default: data/decisions/ and the name of --src.")] = None,
) -> None:
    """Read decisions/<dataset>.csv and write what it means for align, harmonize, select and split.

    Without such a file nothing is decided. For data/decisions/<dataset> also writes runs/decisions/<dataset>.json: the
    decisions by kind, person and new label, for `dvc metrics diff`.
    """
    project.check_made(src)
    from pipeline.decisions.stage import run as decide_dataset

    dataset = src.resolve().name
    place = out or DECIDED / dataset
    params = project.load_params()
    for stray in sorted(DECISIONS.glob(f"*{SUFFIX}")):
        if stray.stem not in params.datasets:
            say(f"warning: {stray}: params.yaml has no dataset {stray.stem!r}, so nothing reads it", err=True)
    with bar(f"decide {dataset}") as progress:
        summary = decide_dataset(
            book_of(dataset),
            src,
            place,
            params.decide,
            dataset=dataset,
            forgotten=FORGOTTEN / f"{dataset}{SUFFIX}",
            counts=DECIDED_COUNTS / f"{dataset}.json" if place == DECIDED / dataset else None,
            progress=progress,
        )
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary["by_kind"].items() if count)
    say(f"{dataset}: {summary['rows_out']} decisions ({kinds or 'none'}), {summary['disputed']} samples disputed")
    if gone := sum(summary["rejected"].values()):
        say(f"warning: {book_of(dataset)}: {gone} decisions are about samples that are gone; see its rejects", err=True)
