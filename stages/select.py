"""`prep select`: choose which of the detected faces are used."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from pipeline.core.errors import DataError
from stages import project
from stages.decided import decided_table
from stages.progress import bar
from stages.say import say


def select(
    src: Annotated[Path, typer.Option(help="A folder of faces, as align writes it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Default: data/selected/ and the name of --src.")] = None,
) -> None:
    """Reject faces that are too small, blurred, dark or the like, by the limits in params.yaml; reads no pixels.

    For data/selected/<dataset> also writes runs/select/<dataset>.json: faces kept, and rejected by reason and class,
    for `dvc metrics diff`.
    """
    project.check_made(src)
    from pipeline.core.names import DECIDED_SELECT_NAME, DETECTIONS_NAME
    from pipeline.core.tables import read_table
    from pipeline.select.stage import run as select_faces

    params = project.load_params()
    named = read_table(src / DETECTIONS_NAME, ["dataset"])["dataset"]
    dataset = named[0].as_py() if len(named) else src.resolve().name
    place = out or folders.SELECTED / dataset
    with bar("select") as progress:
        summary = select_faces(
            src,
            place,
            params.select_of(dataset),
            decided=decided_table(dataset, DECIDED_SELECT_NAME),
            counts=folders.COUNTS / f"{dataset}.json" if place == folders.SELECTED / dataset else None,
            progress=progress,
        )
    left_out = ", ".join(f"{count} {reason}" for reason, count in summary["rejected"].items())
    if not summary["rows_out"]:
        raise DataError(f"{place}: none of {summary['rows_in']} faces selected: {left_out}; see its rejects")
    say(f"{dataset}: {summary['rows_out']} of {summary['rows_in']} faces selected; left out: {left_out or 'none'}")
