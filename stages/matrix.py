"""`prep matrix`: every dataset that trains against every dataset that tests, from DVC experiments."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from pipeline.core.errors import DataError
from stages.say import Json, SetParam, Start, note, say, show_json


def matrix(
    out: Annotated[Path, typer.Option(help="Folder for the table and the picture.")] = folders.MATRIX,
    set_param: SetParam = None,
    start: Start = True,
    as_json: Json = False,
) -> None:
    """Train on each dataset alone, and on all but one; test on every dataset, in the classes that both sides have.

    Each cell is a DVC experiment in a temporary folder, so the working folder stays as it is. What is done is read and
    not run again; after a kill, the same command goes on.
    """
    from models.experiments.matrix import run

    result = run(out, set_param or [], start=start, say=note)
    if as_json:
        show_json(result)
    else:
        measured = sum("balanced_accuracy" in cell for cell in result["cells"])
        files = "matrix.png, matrix.md, matrix.csv, matrix.json"
        say(f"{out}: {files}; {measured} of {len(result['cells'])} cells measured")
    if failed := {name: why for name, why in result["missing"].items() if why}:
        name, why = next(iter(failed.items()))
        raise DataError(f"{len(failed)} experiments failed; the first: {name}: {why}")
