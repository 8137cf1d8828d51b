"""`prep report`: write the data card of the shards and of the network trained on them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from pipeline.core.names import SNAPSHOT_NAME
from stages import project
from stages.progress import bar
from stages.say import say


def report(
    shards: Annotated[Path, typer.Option(help="The shards to describe.")] = folders.SHARDS,
    run: Annotated[Path | None, typer.Option(help="A network's folder; default: runs/train where it is.")] = None,
    evaluation: Annotated[Path | None, typer.Option(help="Its evaluation; default: runs/evaluate where it is.")] = None,
    doubt: Annotated[Path | None, typer.Option(help="What is doubtful; default: runs/doubt where it is.")] = None,
    out: Annotated[Path, typer.Option(help="The folder to write; it will show faces.")] = folders.REPORT,
) -> None:
    """Write the data card: one page with the network's figures, the rows, what was left out, and faces to look at."""
    project.check_made(shards)

    from pipeline.report.stage import run as write_report

    def found(given: Path | None, usual: Path) -> Path | None:
        return given or (usual if (usual / SNAPSHOT_NAME).is_file() else None)

    params = project.load_params()
    given = {
        "run": found(run, folders.TRAIN),
        "evaluation": found(evaluation, folders.EVALUATE),
        "doubt": found(doubt, folders.DOUBT),
    }
    with bar("report") as progress:
        write_report(shards, out, params.report, **given, progress=progress)
    say(f"{out / 'index.html'}: open it in a browser; it shows faces, so keep it where it is")
