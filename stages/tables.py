"""`prep tables`: fill the two tables of the thesis, with and without augmentation, from DVC's experiments."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages.say import Json, say, show_json


def tables(
    out: Annotated[Path, typer.Option(help="The file to write.")] = folders.RUNS / "tables.md",
    published: Annotated[
        Path | None, typer.Option(help="A csv of published accuracies: model, augment, dataset, accuracy.")
    ] = None,
    snapshot: Annotated[
        str | None, typer.Option(help="Id of the shards, or its beginning; default: those in data/shards.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill the two tables from the experiments that dvc exp show lists, of one data snapshot."""
    from models.evaluation.thesis_tables import write_tables

    filled = write_tables(out, published, snapshot)
    if as_json:
        experiments = [asdict(run) for run in filled.runs]
        show_json({"file": str(out), "left_out": filled.left_out, "experiments": experiments})
        return
    others = f", {filled.left_out} on other data left out" if filled.left_out else ""
    say(f"{out}: {len(filled.runs)} experiments{others}")
