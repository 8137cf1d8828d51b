"""`prep folds`: cross-validation, one DVC experiment for each fold, and one score of all answers together."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages.say import Json, SetParam, Start, note, say, show_json


def folds(
    number: Annotated[
        str | None,
        typer.Option("--folds", metavar="K", help="How many, or people; default: split.folds.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the scores and the pooled answers.")] = folders.FOLDS,
    set_param: SetParam = None,
    start: Start = True,
    as_json: Json = False,
) -> None:
    """Run every fold of the split; score all answers together, with an interval over people, and each fold.

    Each fold is a DVC experiment in a temporary folder, so the working folder stays as it is. What is done is read and
    not run again; after a kill, the same command goes on.
    """
    from models.experiments.folds import run
    from models.experiments.written import say_interval

    result = run(out, number, set_param or [], start=start, say=note)
    if as_json:
        show_json(result)
        return
    pooled = result["pooled"]
    scored = ", ".join(f"{name} {say_interval(pooled.get(name))}" for name in ("balanced_accuracy", "accuracy"))
    say(f"{out}: {result['folds']} folds, {pooled['rows']} faces of {pooled.get('people', 0)} people: {scored}")
    if always := result["tested_in_every_fold"]:
        say(f"{always} rows are of an official test set, so they belong to no fold and are not scored")
