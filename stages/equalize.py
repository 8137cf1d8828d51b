"""`prep equalize`: equalize the histogram of every aligned face."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from pipeline.core.parallel.pool import worker_count
from stages import project
from stages.progress import bar
from stages.say import Fresh, note, say


def equalize(
    src: Annotated[Path, typer.Option(help="A folder of faces, as align writes it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Default: data/faces/ and the name of --src.")] = None,
    fresh: Fresh = False,
) -> None:
    """Equalize the histogram of every face: none, hist or clahe, on luma or on each channel (params.yaml)."""
    project.check_made(src)
    from pipeline.core.parts import Resume
    from pipeline.equalize.stage import run as equalize_faces

    params = project.load_params().equalize
    folder = out or folders.FACES / src.resolve().name
    with bar("equalize") as progress:
        summary = equalize_faces(
            src, folder, params, workers=worker_count(), resume=Resume(fresh, note), progress=progress
        )
    say(f"{folder}: {summary['rows_out']} faces, {params.method}")
