"""`prep tables`: the tables of the thesis from DVC's experiments, with what was published beside them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from pipeline.core import folders
from stages.say import Json, say, show_json

_PUBLISHED: Final = Path("benchmarks/thesis.csv")


def tables(
    out: Annotated[Path, typer.Option(help="The file to write.")] = folders.RUNS / "tables.md",
    published: Annotated[
        Path | None, typer.Option(help=f"A csv of published figures; default: {_PUBLISHED}, where there is one.")
    ] = None,
    survey: Annotated[bool, typer.Option("--survey", help="Also the figures of the systems that it surveys.")] = False,
    snapshot: Annotated[
        str | None, typer.Option(help="Id of the shards, or its beginning; default: those in data/shards.")
    ] = None,
    commits: Annotated[
        int, typer.Option(min=0, help="Experiments that started from so many of the last commits; 0: from any.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Fill the tables with the experiments that dvc exp show lists, of one data snapshot."""
    from models.evaluation.published import read_published
    from models.evaluation.thesis_tables import write_tables

    file = published or (_PUBLISHED if _PUBLISHED.is_file() else None)
    figures = [one for one in read_published(file) if survey or one.source != "survey"] if file else []
    filled = write_tables(out, figures, snapshot, commits or None)
    if as_json:
        experiments = [asdict(run) for run in filled.runs]
        show_json({"file": str(out), "left_out": filled.left_out, "experiments": experiments})
        return
    others = f", {filled.left_out} on other data left out" if filled.left_out else ""
    say(f"{out}: {len(filled.runs)} experiments{others}")
