"""`prep personalize`: fine-tune a network on one person."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages import project
from stages.device import note_unused_gpu
from stages.progress import bar
from stages.say import say


def personalize(
    subject: Annotated[str, typer.Option(help="A person in the test set: subject_id, or dataset/subject_id.")],
    shots: Annotated[int, typer.Option(min=1, help="How many labelled faces of that person may be learned from.")],
    run: Annotated[Path, typer.Option(help="The folder with the general network.")] = folders.TRAIN,
    shards: Annotated[Path, typer.Option(help="The shards whose test set holds the person.")] = folders.SHARDS,
    out: Annotated[Path, typer.Option(help="Folder for the learning curve.")] = folders.RUNS / "personalize",
) -> None:
    """Fine-tune on a few faces of one person and compare with the general network on that person's other faces.

    Runs on the first NVIDIA GPU, else on the CPU; PREP_DEVICE names another (cpu, cuda, cuda:N, mps, auto).
    """
    project.check_made(shards, run)
    from models.personal.stage import run as fine_tune

    params = project.load_params()
    note_unused_gpu()
    with bar("personalize") as progress:
        summary = fine_tune(
            shards,
            run,
            out,
            params.personalize,
            subject=subject,
            shots=shots,
            seed=params.seed,
            progress=progress,
        )
    last = summary["curve"][str(shots)]
    ends = "" if last["gain_low"] is None else f" ({last['gain_low']:+.3f} to {last['gain_high']:+.3f})"
    say(
        f"{subject}: accuracy {last['general']:.3f} before and {last['personal']:.3f} after {shots} faces, "
        f"{last['gain']:+.3f}{ends} over {params.personalize.draws} draws, seed {params.seed} -> {out}"
    )
