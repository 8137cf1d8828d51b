"""`prep evaluate`: test a checkpoint on the test set of the shards."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages import project
from stages.device import note_unused_gpu
from stages.progress import bar
from stages.say import say


def evaluate(
    run: Annotated[Path, typer.Option(help="The folder with model.safetensors.")] = folders.TRAIN,
    shards: Annotated[str, typer.Option(help="The shards whose test set is answered.")] = str(folders.SHARDS),
    out: Annotated[Path, typer.Option(help="The folder to write.")] = folders.EVALUATE,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="The folder of another network to compare with, such as a baseline; may be repeated."),
    ] = None,
) -> None:
    """Test a network: metrics with intervals, predictions, confusion, saliency.

    Answers on the first NVIDIA GPU, else on the CPU; PREP_DEVICE names another (cpu, cuda, cuda:N, mps, auto).
    """
    folder = project.local_folder("--shards", shards)
    project.check_made(folder, run, *(beside or ()))
    from models.evaluation.stage import run as test

    params = project.load_params()
    others = {path.name: path for path in beside or ()}
    note_unused_gpu()
    with bar("evaluate") as progress:
        summary = test(
            folder,
            run,
            out,
            params.evaluate,
            seed=params.seed,
            others=others,
            progress=progress,
        )
    for warning in summary["warnings"].values():
        say(f"warning: {warning}", err=True)
    scores = [f"accuracy {summary['accuracy']:.3f}"] if "accuracy" in summary else []
    values = {name: summary[name]["ccc"] for name in ("valence", "arousal", "dominance") if name in summary}
    scores += [f"{name} CCC {'undefined' if ccc is None else f'{ccc:.3f}'}" for name, ccc in values.items()]
    say(f"{out}: {summary['rows_out']} faces answered, {', '.join(scores) or 'none with an annotation'}")
