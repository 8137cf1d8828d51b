"""`prep personalize`: make a network a person's own with a few labelled faces, and say what that brings."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from pipeline.core.errors import UsageError
from stages import project
from stages.device import note_unused_gpu
from stages.progress import bar
from stages.say import say


def personalize(
    subject: Annotated[
        str | None,
        typer.Option(help="A person in the test set: subject_id, or dataset/subject_id.", show_default=False),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody in the test set with enough faces.")] = False,
    shots: Annotated[int, typer.Option(min=1, help="How many labelled faces of a person may be learned from.")] = 16,
    run: Annotated[Path, typer.Option(help="The folder with the general network.")] = folders.TRAIN,
    shards: Annotated[Path, typer.Option(help="The shards whose test set holds the people.")] = folders.SHARDS,
    out: Annotated[Path, typer.Option(help="Folder for the learning curve.")] = folders.RUNS / "personalize",
) -> None:
    """Fine-tune on a few faces of a person; compare with the general network and with the person's faces alone.

    Runs on the first NVIDIA GPU, else on the CPU; PREP_DEVICE names another (cpu, cuda, cuda:N, mps, auto).
    """
    if everybody == (subject is not None):
        raise UsageError("expected either --subject NAME or --all")
    project.check_made(shards, run)
    from models.personal.said import said_lines
    from models.personal.stage import run as measure

    params = project.load_params()
    note_unused_gpu()
    with bar("personalize") as progress:
        summary = measure(
            shards, run, out, params.personalize, subject=subject, shots=shots, seed=params.seed, progress=progress
        )
    for line in said_lines(summary, draws=params.personalize.draws, seed=params.seed):
        say(line)
    say(f"{out}: curve.png, people.csv, curve.csv, summary.json")
